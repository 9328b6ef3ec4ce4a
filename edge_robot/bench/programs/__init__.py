"""What the benchmarks measure: plain rclpy programs, run by path under either runtime.

Each takes its settings as one JSON argument and prints figures as lines of JSON. None imports
`edge_robot`, so the very same file runs on ROS 2 and on the standalone runtime.
"""
