"""The part of rclpy, tf2_ros, the message packages and launch that nodes use, over Cyclone DDS."""
