"""What `SLOT_TYPES` of message classes hold: field types in rosidl_parser's terms."""

from __future__ import annotations

from edge_robot.standalone.interfaces.definitions import IDL_NAMES, FieldType
from edge_robot.standalone.rosidl_parser import definition as idl


def slot_type(kind: FieldType) -> idl.AbstractType:
    """Return rosidl_parser's description of a type."""
    element = _element_type(kind)
    if kind.array is not None:
        return idl.Array(element, kind.array)
    if kind.sequence:
        if kind.bound:
            return idl.BoundedSequence(element, kind.bound)
        return idl.UnboundedSequence(element)
    return element


def _element_type(kind: FieldType) -> idl.AbstractNestableType:
    bound = kind.string_bound
    if kind.base == "string":
        return idl.BoundedString(bound) if bound else idl.UnboundedString()
    if kind.base == "wstring":
        return idl.BoundedWString(bound) if bound else idl.UnboundedWString()
    if kind.is_primitive:
        return idl.BasicType(IDL_NAMES.get(kind.base, kind.base))
    *namespaces, name = kind.base.split("/")
    return idl.NamespacedType(namespaces, name)
