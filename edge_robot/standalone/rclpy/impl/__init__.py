"""Where programs reach for what rclpy keeps in its C++ module."""
