"""Values to and from the wire: attrs classes as JSON objects with camelCase keys, absent values left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

T = TypeVar("T")


def camel_case(name: str) -> str:
    """Return *name* as it is spelled on the wire: `tool_name` is `toolName`, `in_` is `in`."""
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def wire_converter() -> cattrs.Converter:
    """
    Make a converter for the wire; keep it, because it learns each class once. Threads may share it.

    A class attribute `kind`, where a class has one, is written first. What is read may have unknown keys, and
    null where a value is absent.
    """
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_unstructure_hook_factory(attrs.has, lambda cls: _writer(cls, converter))
    converter.register_structure_hook_factory(attrs.has, lambda cls: _reader(cls, converter))
    return converter


def _renamed(cls: type) -> dict[str, Any]:
    attrs.resolve_types(cls)
    return {each.name: override(rename=camel_case(each.name)) for each in attrs.fields(cls)}


def _writer(cls: type, converter: cattrs.Converter) -> Callable[[Any], dict[str, Any]]:
    write: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(cls, converter, **_renamed(cls))
    kind = getattr(cls, "kind", None)
    start = {"kind": kind} if isinstance(kind, str) else {}

    def write_present(value: Any) -> dict[str, Any]:
        return {**start, **{key: part for key, part in write(value).items() if part is not None}}

    return write_present


def _reader(cls: type[T], converter: cattrs.Converter) -> Callable[[Mapping[str, Any], Any], T]:
    read = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=False, **_renamed(cls))

    def read_present(value: Mapping[str, Any], _: Any) -> T:
        if not isinstance(value, Mapping):
            raise TypeError(f"a JSON object is needed for {cls.__name__}")
        return read({key: part for key, part in value.items() if part is not None}, cls)

    return read_present
