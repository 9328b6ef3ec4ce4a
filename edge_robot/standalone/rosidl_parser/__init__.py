"""The part of rosidl_parser that programs meet in `SLOT_TYPES` of message classes."""
