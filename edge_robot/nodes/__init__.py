"""One thin rclpy node per file: parameters, topics, conversions."""
