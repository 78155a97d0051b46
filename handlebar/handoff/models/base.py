"""What all models are: frozen values that check each field when they are made, and know the way to JSON and back."""

# Annotations are real types in this package's modules: they are what a field is checked against.

from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar

from attrs import NOTHING, Attribute, fields

from handlebar._plumbing.strict_converters import MisfitError, strict_converter
from handlebar.handoff.exceptions import ValidationError, invalid

M = TypeVar("M", bound="Model")

_MISSING: Any = object()


class Word(str, Enum):
    """A word of the wire format; equal to the same word as a str."""

    __str__ = str.__str__

    def __format__(self, spec: str) -> str:
        # Python 3.10 and 3.12 differ on what an enum that is a str looks like in an f-string.
        return format(str(self.value), spec)


class Model:
    """
    A record of the hand-off API.

    Nested records may be given as dicts, words as str, times as ISO 8601. A value that does not fit raises
    `ValidationError`, which names the field.
    """

    __slots__ = ()

    @classmethod
    def from_dict(cls: type[M], data: Mapping[str, Any]) -> M:
        """
        Read a JSON object; unknown fields are ignored, null is as good as absent.

        Raises:
            ValidationError: A field is missing or wrong; its dotted path is the error's `field`.
        """
        if not isinstance(data, Mapping):
            raise invalid("", f"a JSON object is needed for {cls.__name__}")
        given = {each.name: data.get(each.name) for each in fields(cls)}  # type: ignore[arg-type]  # every model is attrs
        return cls(**{name: value for name, value in given.items() if value is not None})

    def to_dict(self, *, nulls: bool = False) -> dict[str, Any]:
        """
        Return a JSON object.

        Args:
            nulls: Spell out what is None as null, as the server does; it is left out otherwise.
        """
        made: dict[str, Any] = _converter(nulls=nulls).unstructure(self)
        return made


def checked(cls: type, attributes: list["Attribute[Any]"]) -> list["Attribute[Any]"]:
    """Make attrs check each field of a model against its type; for `frozen(field_transformer=checked)`."""
    return [_checked(attribute) for attribute in attributes]


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc)


def _checked(attribute: "Attribute[Any]") -> "Attribute[Any]":
    # A missing field is told like any other that is wrong, and not by a TypeError.
    default = _MISSING if attribute.default is NOTHING else attribute.default
    return attribute.evolve(default=default, converter=partial(_fit, attribute.name, attribute.type))


def _fit(name: str, kind: Any, value: Any) -> Any:
    """Return *value* as *kind*."""
    if value is _MISSING:
        raise invalid(name, "is missing")
    try:
        return _converter(nulls=False).structure(value, kind)
    except MisfitError as misfit:
        raise invalid(".".join((name, *misfit.path)), misfit.wanted) from misfit


@cache
def _converter(*, nulls: bool) -> Any:
    converter = strict_converter(Word)
    converter.register_structure_hook_func(_is_model, _nested)
    converter.register_unstructure_hook_factory(_is_model, lambda kind: _writer(kind, converter, nulls=nulls))
    return converter


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _nested(value: Any, kind: type[M]) -> M:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise MisfitError("needs an object")
    try:
        return kind.from_dict(value)
    except ValidationError as error:
        field = error.field or ""
        raise MisfitError(error.message.removeprefix(f"{field}: "), tuple(field.split("."))) from error


def _writer(kind: Any, converter: Any, *, nulls: bool) -> Any:
    kinds = {each.name: each.type for each in fields(kind)}

    def write(model: Any) -> dict[str, Any]:
        parts = ((name, getattr(model, name), kind) for name, kind in kinds.items())
        return {
            name: None if value is None else converter.unstructure(value, kind)
            for name, value, kind in parts
            if nulls or value is not None
        }

    return write
