"""Import finder that supplies ROS 2's module names where ROS 2 is not installed."""


def install() -> None:
    """Append the finder to the end of `sys.meta_path`, once."""
