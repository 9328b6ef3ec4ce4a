"""Messages of either runtime as plain values that can be compared."""

import array


def plain(value):
    """Return a message as dictionaries, lists and numbers."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, (list, tuple, array.array)) or hasattr(value, "tolist"):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return list(value)
    return value
