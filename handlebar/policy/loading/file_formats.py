"""Policy files: YAML and JSON text made into documents that know their lines."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from attrs import frozen

from handlebar.policy.loading.documents import Document, DocumentError, Items, Leaf, Pairs, grow

MAX_BYTES = 1024 * 1024
"""How large a policy file may be."""


@frozen
class PolicyText:
    """
    What would be the content of a policy file, in YAML, of which JSON is a part.

    Attributes:
        text: At most `MAX_BYTES` long.
    """

    text: str


def read_text(origin: str, source: PolicyText) -> Document:
    """
    Read what somebody has typed; problems are told of at *origin*.

    Raises:
        DocumentError: It is no YAML.
    """
    if len(source.text) > MAX_BYTES:
        raise DocumentError(f"the text is too large; at most {MAX_BYTES} bytes")
    return _parsed(_yaml, origin, source.text)


def read_file(path: FilePath) -> Document:
    """
    Read the policy file at *path*.

    Raises:
        DocumentError: It cannot be read, or is no YAML or JSON.
    """
    parse = FORMATS.get(path.suffix.lower())
    if parse is None:
        raise DocumentError(f"not a policy file; expected one that ends in {', '.join(FORMATS)}")
    return _parsed(parse, str(path), _text_of(path))


def _parsed(parse: Callable[[str, str], Document], origin: str, text: str) -> Document:
    try:
        return parse(origin, text)
    except RecursionError:
        raise DocumentError("the values are nested too deep; use fewer levels") from None


def _text_of(path: FilePath) -> str:
    try:
        # To open a pipe would mean to wait for its writer.
        if not path.is_file():
            raise DocumentError("there is no such file or folder; give the path of one")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}; make it readable") from None
    if len(content) > MAX_BYTES:
        raise DocumentError(f"the file is too large; at most {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError("the file is not UTF-8; save it as UTF-8", line=line) from None


def _json(origin: str, text: str) -> Document:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg}; correct it", line=error.lineno) from None
    except ValueError as error:  # a number of more digits than Python is willing to read
        raise DocumentError(f"not readable as JSON: {error}") from None
    return grow(origin, _JsonText(text).root(), lambda node: node)


class _JsonText:
    """Finds where things stand in JSON *text* that is known to be valid."""

    _BETWEEN = re.compile(r"[\s,:]*")

    def __init__(self, text: str) -> None:
        self._text = text
        self._decode = json.JSONDecoder().raw_decode
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def root(self) -> Leaf | Items | Pairs:
        node, _ = self._node(self._skip(0))
        return node

    def _node(self, at: int) -> tuple[Leaf | Items | Pairs, int]:
        if self._text[at] == "{":
            return self._object(at)
        if self._text[at] == "[":
            return self._array(at)
        value, end = self._decode(self._text, at)
        return Leaf(value, self._line(at)), end

    def _object(self, start: int) -> tuple[Pairs, int]:
        entries: list[tuple[Any, int | None, Any]] = []
        at = self._skip(start + 1)
        while self._text[at] != "}":
            line = self._line(at)
            key, at = self._decode(self._text, at)
            part, at = self._node(self._skip(at))
            entries.append((key, line, part))
            at = self._skip(at)
        return Pairs(entries, self._line(start)), at + 1

    def _array(self, start: int) -> tuple[Items, int]:
        parts = []
        at = self._skip(start + 1)
        while self._text[at] != "]":
            part, at = self._node(at)
            parts.append(part)
            at = self._skip(at)
        return Items(parts, self._line(start)), at + 1

    def _skip(self, at: int) -> int:
        """Return the end of the white space and punctuation at *at*."""
        between = self._BETWEEN.match(self._text, at)
        assert between is not None  # the pattern matches the empty text
        return between.end()

    def _line(self, at: int) -> int:
        return bisect.bisect_left(self._breaks, at) + 1


def _yaml(origin: str, text: str) -> Document:
    try:
        import yaml
    except ImportError as error:
        raise ImportError("policies in YAML need PyYAML: pip install 'handlebar[embedded]'") from error
    loader = yaml.SafeLoader("")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise DocumentError("the file is empty; expected a policy or a list of policies")
        return grow(origin, root, lambda node: _look_at_yaml(node, loader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise DocumentError(f"not usable YAML: {error.problem or error.context}; correct it", line=line) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow: it says where by offset only
        raise DocumentError(f"not usable YAML: {' '.join(str(error).split())}") from None


def _look_at_yaml(node: Any, loader: Any) -> Leaf | Items | Pairs:
    line = node.start_mark.line + 1
    if node.id == "scalar":
        return Leaf(_scalar(node, loader), line)
    # Tags such as !!set or !!omap would make something else of a mapping or list.
    if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        raise DocumentError(f"the YAML tag {node.tag!r} is not allowed; leave it out", line=line)
    if node.id == "sequence":
        return Items(node.value, line)
    return Pairs([_entry(key, part, loader) for key, part in node.value], line)


def _entry(key: Any, part: Any, loader: Any) -> tuple[Any, int, Any]:
    line = key.start_mark.line + 1
    if key.tag == "tag:yaml.org,2002:merge":
        raise DocumentError("YAML's merge key << is not supported; write the keys out", line=line)
    if key.id != "scalar":
        raise DocumentError("a key is a list or a mapping; expected text", line=line)
    return _scalar(key, loader), line, part


def _scalar(node: Any, loader: Any) -> Any:
    try:
        return loader.construct_object(node)
    except (ValueError, OverflowError) as error:  # a date such as 2024-13-45, a number of too many digits
        message = f"{node.value[:40]!r} cannot be read: {error}; quote it if it is text"
        raise DocumentError(message, line=node.start_mark.line + 1) from None


FORMATS: Mapping[str, Callable[[str, str], Document]] = {".yaml": _yaml, ".yml": _yaml, ".json": _json}
"""How a file is read, by its ending."""
