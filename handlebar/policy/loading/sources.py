"""Policies from files, folders and values, checked on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from handlebar.core.schema.rules import Policy
from handlebar.errors import PolicyError
from handlebar.policy.loading import dead_rules
from handlebar.policy.loading.documents import Document, DocumentError, located, of_python
from handlebar.policy.loading.file_formats import FORMATS, PolicyText, read_file, read_text
from handlebar.policy.loading.naming import Register
from handlebar.policy.loading.policy_readers import head_of, read_policy, rules_of
from handlebar.policy.loading.reading import Spot, attempt
from handlebar.policy.loading.wording import described
from handlebar.policy.writing import policy_to_dict

T = TypeVar("T")


def load_policies(source: Any) -> tuple[Policy, ...]:
    """
    Load policies and check all that can be checked before the first call.

    Args:
        source: The path of a `.yaml`, `.yml` or `.json` file, or of a folder of such files; a `Policy`; a
            mapping as such files hold; a `PolicyText`; or a list of any of these.

    Raises:
        PolicyError: Something is wrong; it lists every problem of every source.
    """
    problems: list[str] = []
    spots = [spot for document in _documents(source, problems) for spot in _policy_spots(document, problems)]
    if not spots and not problems:
        problems.append("policies: document: there is no policy; give one at least")
    policies = [attempt(read_policy, spot) for spot in spots]
    _note_names(spots)
    if problems:
        raise PolicyError(problems)
    for policy, spot in zip(policies, spots, strict=True):
        dead_rules.warn_of_hidden(policy, rules_of(spot))
    return tuple(policies)


def _documents(source: Any, problems: list[str]) -> Iterator[Document]:
    """Yield what can be read, and note what cannot."""
    listed = source if isinstance(source, (list, tuple)) else [source]
    for index, one in enumerate(listed):
        for origin, part in _unfolded(f"policies[{index}]", one, problems):
            yield from _tried(lambda: [_document(origin, part)], origin, problems)  # noqa: B023  # called at once


def _unfolded(origin: str, source: Any, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the files of a path, or the value itself."""
    if not isinstance(source, (str, os.PathLike)):
        yield origin, source
        return
    path = os.fsdecode(source)
    for file in _tried(lambda: files_in(path), path, problems):
        yield str(file), file


def _tried(read: Callable[[], list[T]], origin: str, problems: list[str]) -> list[T]:
    """Return what *read* does; where nothing can be read, note that."""
    try:
        return read()
    except DocumentError as error:
        problems.append(f"{located(origin, error.line)}: document: {error}")
        return []


def files_in(source: str) -> list[Path]:
    """
    Return the file at *source*, or the policy files in the folder there, sorted.

    Raises:
        DocumentError: There are none, or nobody may look.
    """
    if not source:
        # Path("") is the working directory, which nobody has asked for.
        raise DocumentError("the path is empty; expected a file or a folder")
    path = Path(source)
    try:
        if not path.is_dir():
            return [path]
        files = sorted(_walked(path))
    except (OSError, ValueError) as error:  # no right to look; no path at all (it holds a NUL)
        raise DocumentError(f"cannot be read: {error}; make it readable") from None
    if not files:
        raise DocumentError(f"the folder holds no policy files; expected some that end in {', '.join(FORMATS)}")
    return files


def _walked(folder: Path) -> Iterator[Path]:
    for child in folder.iterdir():
        if child.name.startswith("."):
            continue
        # A link to a folder may lead back to where we are.
        if child.is_dir() and not child.is_symlink():
            yield from _walked(child)
        elif child.suffix.lower() in FORMATS and not child.is_dir():
            yield child


def _document(origin: str, source: Any) -> Document:
    if isinstance(source, Path):
        return read_file(source)
    if isinstance(source, PolicyText):
        return read_text(origin, source)
    if isinstance(source, Policy):
        return of_python(origin, policy_to_dict(source))
    if isinstance(source, Mapping):
        return of_python(origin, source)
    raise DocumentError(f"{described(source)}; expected a path, a Policy or a mapping")


def _policy_spots(document: Document, problems: list[str]) -> list[Spot]:
    """Return where the document's policies stand, and note what is wrong with its form."""
    problems += document.fault_problems()
    root = Spot(document, problems, document.value)
    if not isinstance(root.value, list):
        return [root]
    if not root.value:
        root.note("the list is empty; give it one policy at least")
    return [root.at(index) for index in range(len(root.value))]


def _note_names(spots: list[Spot]) -> None:
    register = Register()
    for spot in spots:
        register.enter(head_of(spot), rules_of(spot))
