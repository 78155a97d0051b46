"""The project's views, which run agents in all the ways that views can."""

# ruff: noqa: D103  # the names say what the views do

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

import handlebar
from handlebar.core.run import Run
from handlebar.integrations.django import get_client

FIRST_CHUNK = "x" * 1024

seen: list[Run] = []
"""The runs that views have opened in this process."""


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def _said(run: Run, same: list[bool]) -> JsonResponse:
    actor = run.actor.external_id if run.actor else None
    return JsonResponse({"run": run.run_id, "actor": actor, "tags": dict(run.tags), "same": same, "pid": os.getpid()})


def sync_view(request: HttpRequest) -> JsonResponse:
    same = []
    with get_client().run(actor=request.GET.get("actor")) as run:
        seen.append(run)
        for _ in range(int(request.GET.get("looks", 1))):
            time.sleep(0.01)
            same.append(handlebar.get_current_run() is run)
    return _said(run, same)


async def async_view(request: HttpRequest) -> JsonResponse:
    async with get_client().run(actor=request.GET.get("actor")) as run:
        seen.append(run)
        same = [handlebar.get_current_run() is run]
        for _ in range(int(request.GET.get("looks", 1))):
            await asyncio.sleep(0.01)
            same.append(handlebar.get_current_run() is run)
        same.append(await sync_to_async(handlebar.get_current_run)() is run)
        same.append(await sync_to_async(handlebar.get_current_run, thread_sensitive=False)() is run)
        same.append(await asyncio.to_thread(handlebar.get_current_run) is run)
    return _said(run, same)


async def left_in_pools(request: HttpRequest) -> JsonResponse:
    """Tell how many pool threads have a run where nobody has opened one."""
    looks = [asyncio.get_running_loop().run_in_executor(None, handlebar.get_current_run) for _ in range(16)]
    return JsonResponse({"left": sum(run is not None for run in await asyncio.gather(*looks))})


def _forgotten() -> Run:
    run = get_client().start_run_sync(handlebar.RunConfig(f"run-{len(seen)}"))
    seen.append(run)
    return run


def failing_sync(request: HttpRequest) -> HttpResponse:
    _forgotten()
    raise ValueError("x")


async def failing_async(request: HttpRequest) -> HttpResponse:
    await sync_to_async(_forgotten)()
    raise ValueError("x")


def answering(request: HttpRequest, status: int) -> HttpResponse:
    _forgotten()
    return HttpResponse("mine", status=status)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    run = _forgotten()
    chunks = int(request.GET.get("chunks", 3))

    def body() -> Iterator[str]:
        yield FIRST_CHUNK
        with get_client().run(f"{run.run_id}-inner") as inner:
            for _ in range(chunks):
                time.sleep(float(request.GET.get("pause", 0)))
                yield f" {handlebar.get_current_run() is inner and not run.is_ended}"
        if "raise" in request.GET:
            raise ValueError("in the middle")

    return StreamingHttpResponse(body())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    run = await sync_to_async(_forgotten)()
    chunks = int(request.GET.get("chunks", 3))

    async def body() -> AsyncIterator[str]:
        yield FIRST_CHUNK
        async with get_client().run(f"{run.run_id}-inner") as inner:
            for _ in range(chunks):
                await asyncio.sleep(float(request.GET.get("pause", 0)))
                yield f" {handlebar.get_current_run() is inner and not run.is_ended}"
        if "raise" in request.GET:
            raise ValueError("in the middle")

    return StreamingHttpResponse(body())


def slow(request: HttpRequest) -> HttpResponse:
    """Go on for two seconds, whoever has left meanwhile, then ask whether a tool may be called, and talk to a model."""
    with get_client().run("slow") as run:
        time.sleep(2)
        decision = run.before_tool_sync("refund", {})
        run.before_llm_sync([{"role": "user", "content": "hello"}])
        after.append(f"{decision.verdict}/{decision.control}")
    return HttpResponse("late")


after: list[str] = []
"""What `slow` was answered in this process."""


def what_came_after(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"after": after, "dropped": dict(get_client().stats().events_dropped)})


def refund(request: HttpRequest) -> HttpResponse:
    @handlebar.tool(on_approval="raise")
    def refund() -> str:
        return "done"

    with get_client().run():
        return HttpResponse(refund())


def current(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(handlebar.get_current_run() is not None))


def an_actor(request: HttpRequest) -> str:
    return request.headers["X-User"]


async def an_actor_async(request: HttpRequest) -> str:
    await asyncio.sleep(0)
    return request.headers["X-User"]
