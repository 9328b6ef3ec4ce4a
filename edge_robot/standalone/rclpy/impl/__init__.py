"""What rclpy keeps in `rclpy.impl` and programs import from there."""
