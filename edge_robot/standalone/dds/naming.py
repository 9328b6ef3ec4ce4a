"""ROS 2 names and types as DDS sees them."""

from __future__ import annotations


def topic_name(name: str) -> str:
    """Return the DDS topic of a fully qualified ROS topic."""
    return f"rt{name}"


def request_topic_name(service: str) -> str:
    """Return the DDS topic that carries a fully qualified service's requests."""
    return f"rq{service}Request"


def reply_topic_name(service: str) -> str:
    """Return the DDS topic that carries a fully qualified service's replies."""
    return f"rr{service}Reply"


def type_name(name: str) -> str:
    """Return the DDS type of `package/msg/Name` (or of a service's `…_Request`, `…_Response`)."""
    package, kind, message = name.split("/")
    return f"{package}::{kind}::dds_::{message}_"


def ros_topic_name(name: str) -> str | None:
    """Return the ROS topic of a DDS topic, or None if it carries something else."""
    return name[2:] if name.startswith("rt/") else None


def ros_request_name(name: str) -> str | None:
    """Return the ROS service of a DDS topic that carries requests, or None."""
    return name[2:-7] if name.startswith("rq/") and name.endswith("Request") else None


def ros_reply_name(name: str) -> str | None:
    """Return the ROS service of a DDS topic that carries replies, or None."""
    return name[2:-5] if name.startswith("rr/") and name.endswith("Reply") else None


def ros_service_name(name: str) -> str | None:
    """Return the ROS service of a DDS topic of requests or replies, or None."""
    return ros_request_name(name) or ros_reply_name(name)


def ros_type_name(name: str) -> str:
    """Return `package/msg/Name` for a DDS type of ROS 2; other names come back unchanged."""
    if "::dds_::" not in name or not name.endswith("_"):
        return name
    return name[:-1].replace("dds_::", "").replace("::", "/")


def ros_service_type_name(name: str) -> str:
    """Return `package/srv/Name` for the DDS type of a service's requests or replies."""
    kind = ros_type_name(name)
    return kind.removesuffix("_Request").removesuffix("_Response")
