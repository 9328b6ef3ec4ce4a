"""Recordings: one MCAP file of CDR samples, written beside a running robot and read afterwards.

Plain Python, no ROS import: the recorder node writes through `RecordingWriter`; the report reads
with `Recording`.
"""
