"""What Handlebar writes into the headers of a task's message, and reads there; anybody may have written them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from handlebar._plumbing import safe_json
from handlebar.integrations.celery.sealing import Sealing

_VERSION = 1


@frozen
class Header:
    """
    One header, a small dict of JSON values.

    Attributes:
        most_bytes: A longer one is neither written nor read.
    """

    name: str
    most_bytes: int

    def written(self, content: Mapping[str, Any], task_id: str, sealing: Sealing) -> dict[str, Any] | None:
        """Return *content* as it is put into the message of that task; None where it is too long."""
        sealed = sealing.sealed({"v": _VERSION, **content}, self._purpose(task_id))
        return sealed if self._fits(sealed) else None

    def read(self, headers: Mapping[str, Any], task_id: str, sealing: Sealing) -> Mapping[str, Any] | None:
        """Return what the message of that task says; None where it says nothing that can be believed."""
        for content in self._places(headers):
            is_ours = isinstance(content, Mapping) and content.get("v") == _VERSION and self._fits(content)
            if is_ours and sealing.is_good(content, self._purpose(task_id)):
                return dict(content)
        return None

    def _places(self, headers: Mapping[str, Any]) -> Iterator[Any]:
        """Give what stands at each of the two places where Celery's versions deliver headers."""
        yield headers.get(self.name)
        nested = headers.get("headers")
        if isinstance(nested, Mapping):
            yield nested.get(self.name)

    def _fits(self, content: Mapping[str, Any]) -> bool:
        return len(safe_json.encode(content).encode()) <= self.most_bytes

    def _purpose(self, task_id: str) -> str:
        return f"{self.name}:{task_id}"
