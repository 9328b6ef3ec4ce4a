"""Recorded sensor data, fed again through the very same nodes, and what came of it.

Plain Python, no ROS import: `open_source` reads folders and bags, `LockStep` says when the next
frame may go out, `results` turns the recording of a replay into tables and a video.
"""
