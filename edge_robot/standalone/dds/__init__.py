"""ROS 2's wire protocol over Cyclone DDS: participants, raw CDR endpoints, discovery."""
