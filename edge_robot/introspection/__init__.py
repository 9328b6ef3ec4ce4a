"""What the command-line tools think: messages and values as text, rates, contracts, interfaces.

Plain Python: it works on message objects of ROS 2 and of the standalone runtime alike, by what they
have in common (`get_fields_and_field_types`).
"""
