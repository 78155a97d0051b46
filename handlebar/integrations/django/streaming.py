"""Streamed responses: the request's runs are current in each chunk, and end after the last one."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from handlebar.integrations.serving.visits import GovernedChunks, Visit


def govern_stream(response: Any, visit: Visit) -> bool:
    """Let *visit* last as long as *response* is streamed; False where it is not, or is a file that runs no code."""
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        return False
    chunks, status = response.streaming_content, response.status_code
    governed = GovernedAsyncChunks if response.is_async else GovernedChunks
    # Django closes what has a `close` together with the response.
    response.streaming_content = governed(chunks, visit, http_status=status)
    visit.is_streamed = True
    return True


class GovernedAsyncChunks:
    """Like `GovernedChunks`, for chunks to await; runs are ended off the loop."""

    def __init__(self, chunks: AsyncIterable[Any], visit: Visit, *, http_status: int) -> None:
        self._iterator: AsyncIterator[Any] = aiter(chunks)
        self._visit = visit
        self._http_status = http_status
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            with self._visit.place:
                return await anext(self._iterator)
        except StopAsyncIteration:
            await to_thread(self._end, None)
            raise
        except BaseException as error:
            await to_thread(self._end, error)
            raise

    def close(self) -> None:
        """What had not come to its end was interrupted."""
        self._end(GeneratorExit())

    def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._visit.error = self._visit.error or error
        self._visit.end(self._http_status)
