"""One request, from its first line to the last byte of its response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from handlebar._plumbing.identifiers import uuid7
from handlebar.core import current
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.current import Place
from handlebar.core.plane import RunEndStatus
from handlebar.core.request_scope import RequestScope
from handlebar.core.scope import status_for

_SERVER_ERROR = 500


class Visit:
    """
    Lives as long as one request, its streamed response included.

    Attributes:
        scope: What runs take over.

        place: A `with` block for whatever serves the request: the view, then each chunk.

        error: What the application has failed with, where the framework tells.
    """

    def __init__(self, scope: RequestScope) -> None:
        self.scope = scope
        self.place = Place(scope)
        self.error: BaseException | None = None
        self.is_streamed = False

    def status(self, http_status: int) -> RunEndStatus:
        """Return how the runs of a request end that was answered with *http_status*."""
        if self.error is None and http_status >= _SERVER_ERROR:
            return "error"
        return status_for(self.error)

    def end(self, http_status: int = 200) -> None:
        """End what is still open."""
        self.scope.close(self.status(http_status))


def open_run(client: HandlebarClient) -> None:
    """Start a run and make it current; the request ends it."""
    current.push(client.start_run_sync(RunConfig(uuid7())))


class GovernedChunks:
    """
    The chunks of a response, each made where the request's runs are current; the runs end after the last one.

    Iterate it once; `close` may come at any time, from any thread, and more than once.
    """

    def __init__(self, chunks: Iterable[Any], visit: Visit, *, http_status: int) -> None:
        self._chunks = chunks
        self._iterator: Iterator[Any] | None = None
        self._visit = visit
        self._http_status = http_status
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            with self._visit.place:
                if self._iterator is None:
                    self._iterator = iter(self._chunks)
                return next(self._iterator)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def close(self) -> None:
        """Close the chunks; what had not come to its end was interrupted."""
        try:
            with self._visit.place:
                for each in (self._iterator, self._chunks):
                    close = getattr(each, "close", None)
                    if close is not None:
                        close()
        finally:
            self._end(GeneratorExit())

    def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._visit.error = self._visit.error or error
        self._visit.end(self._http_status)
