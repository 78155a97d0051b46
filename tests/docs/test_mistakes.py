"""The mistakes that newcomers make: each is answered by what has happened, and what to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import handlebar
from handlebar.core.client import HandlebarClient
from handlebar.errors import ConfigError, NoCurrentRunError, NotInitialisedError, PolicyError
from tests.support.clients import made
from tests.support.forks import in_child
from tests.support.http_server import Answer, HttpServer, Slow
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a working directory, and a default client, of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("handlebar.core.front._default", [])


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@handlebar.tool
def refund(order: str) -> str:
    """Refund an order."""
    return order


def a_client(agent: str = "desk", **config: object) -> HandlebarClient:
    """Make the default client, as a program does at its start."""
    made.append(handlebar.init(agent, **config))
    return made[-1]


def decide(client: HandlebarClient) -> str:
    """Make one call in a run; return what its decision says."""
    with client.run() as run:
        return run.before_tool_sync("refund", {}).message


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def says(text: str, *words: str) -> bool:
    """Whether *text* holds all of *words*."""
    return all(word in text for word in words)


def test_no_client() -> None:
    """Who asks for the client before there is one is told to make it."""
    with pytest.raises(NotInitialisedError) as caught:
        handlebar.get_client()
    assert says(str(caught.value), "no default client", "handlebar.init(")


@pytest.mark.parametrize("config", [{}, {"api_endpoint": "https://plane.example"}], ids=["nothing", "no key"])
def test_no_key(caplog: pytest.LogCaptureFixture, config: dict[str, str]) -> None:
    """Nothing is governed, the log says so at once, and how to connect."""
    assert "failing open" in decide(a_client(**config))
    assert says(caplog.text, "inactive", "fail-open", "HANDLEBAR_API_KEY", "policies=", "HANDLEBAR_API_ENDPOINT")


def test_a_wrong_key(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """The key is named as the cause, and not shown."""
    server.behave(Answer(401))
    decide(a_client(api_endpoint=server.url, api_key="the-wrong-one", decision_timeout=2.0))
    assert says(caplog.text, "401", "check the API key")
    assert "the-wrong-one" not in caplog.text


def test_the_server_is_down(caplog: pytest.LogCaptureFixture) -> None:
    """The cause, where to look, and what calls get meanwhile."""
    message = decide(a_client(api_endpoint="http://127.0.0.1:9", api_key="key", decision_timeout=2.0))
    assert says(caplog.text, "No answer came", "ConnectionRefusedError", "check the endpoint")
    assert says(message, "unavailable", "failing open")


def test_a_bad_policy_file(tmp_path: Path) -> None:
    """File, line and place of each slip at once, with what was probably meant."""
    file = tmp_path / "policies.yaml"
    file.write_text("name: x\nrules:\n  - name: y\n    condition: {kind: toolNmae}\n    effect: {type: blok}\n")
    with pytest.raises(PolicyError) as caught:
        handlebar.init("desk", policies=str(file))
    told = str(caught.value)
    assert says(told, "policies.yaml:4", "rules[0].condition.kind", "did you mean 'toolName'?", "did you mean 'block'?")


def test_a_missing_policy_file() -> None:
    """The path, and what is expected there."""
    with pytest.raises(PolicyError) as caught:
        handlebar.init("desk", policies="nowhere.yaml")
    assert says(str(caught.value), "nowhere.yaml", "no such file", "give the path")


def test_a_forgotten_end(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that nobody ends are told of, once, with the ways to end them."""
    monkeypatch.setattr("handlebar.core.active_runs.MAX_ACTIVE", 5)
    client = a_client(enforce_mode="off")
    for number in range(20):
        client.start_run_sync(handlebar.RunConfig(str(number)))
    assert 1 == len(caplog.records)
    assert says(caplog.text, "never ended", "with client.run(...)", "end_sync()", "run_ttl_ms")


@pytest.mark.parametrize("way", ["client.shutdown_sync()", "pass"], ids=["shutdown", "exit"])
def test_runs_left_at_the_end(way: str) -> None:
    """A program that ends its process before its runs is told so in one line, with their number; others are not."""
    script = (
        "import handlebar\n"
        "client = handlebar.init('desk', enforce_mode='off')\n"
        "for number in range({number}): client.start_run_sync(handlebar.RunConfig(str(number)))\n"
        "with client.run(): pass\n" + way
    )
    three, none = (run(script.format(number=number)).stderr for number in (3, 0))
    assert says(three, "3 run(s) had not ended", "with client.run(...)", "end_sync()", "run_ttl_ms")
    assert (1, "") == (len(three.splitlines()), none)


def test_a_run_that_its_time_to_live_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Which run it was, and how to end it."""
    started = a_client(enforce_mode="off").start_run_sync(handlebar.RunConfig("long", run_ttl_ms=50))
    assert eventually(lambda: started.is_ended)
    assert eventually(lambda: bool(caplog.text))
    assert says(caplog.text, "'long'", "run_ttl_ms", "with client.run(...)", "end_sync()")


def test_a_tool_without_a_run() -> None:
    """The tool is not called; the three ways out are named."""
    a_client(enforce_mode="off")
    with pytest.raises(NoCurrentRunError) as caught:
        refund("A-1")
    assert says(
        str(caught.value), "'refund'", "outside a run", "with client.run(...)", "handlebar.init(", "require_run=False"
    )


def test_a_thread_without_the_run() -> None:
    """The same, and how to carry the run over; which works."""
    caught: list[str] = []

    def work() -> None:
        try:
            caught.append(refund("A-1"))
        except NoCurrentRunError as error:
            caught.append(str(error))

    with a_client(enforce_mode="off").run():
        for target in (work, handlebar.bind(work)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert says(caught[0], "outside a run", "handlebar.bind(fn)")
    assert "A-1" == caught[1]


def test_a_second_init(caplog: pytest.LogCaptureFixture) -> None:
    """The first agent's client is shut down; that is said, with the way to have two. One agent's is only renewed."""
    a_client("first", enforce_mode="off")
    a_client("first", enforce_mode="off")
    assert "" == caplog.text
    a_client("second", enforce_mode="off")
    assert says(caplog.text, "'first'", "'second'", "shut", "call init once", "HandlebarClient.init_sync")


def test_a_fork_without_a_restart(server: HttpServer) -> None:
    """Nothing needs to be done: the child is governed by the same control plane."""
    client = a_client(api_endpoint=server.url, api_key="key")
    decide(client)
    assert "No rule matched" == in_child(lambda: decide(client))


def test_blocking_calls_in_a_coroutine(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """They work, and hold the loop up: that is said once, with what to await instead."""
    server.behave(Slow(0.3), path="/evaluate")
    client = a_client(api_endpoint=server.url, api_key="key")

    async def work() -> None:
        async with client.run() as run:
            await run.before_tool("refund", {})
            assert "event loop" not in caplog.text
            for _ in range(2):
                run.before_tool_sync("refund", {})

    asyncio.run(work())
    assert 1 == caplog.text.count("held the event loop up")
    assert says(caplog.text, "await before_tool", "without _sync", "async with", "asyncio.to_thread")


def test_a_block_that_is_taken_for_a_run() -> None:
    """Who forgets the `with` is shown it."""
    with pytest.raises(AttributeError) as caught:
        a_client(enforce_mode="off").run().before_tool_sync("refund", {})  # type: ignore[attr-defined]  # the mistake
    assert says(str(caught.value), "with client.run(...) as run", "run.before_tool_sync")


def test_an_option_with_a_slip() -> None:
    """What was meant is named; what was given is not shown, since it may be the key."""
    with pytest.raises(ConfigError) as caught:
        handlebar.init("desk", api_kee="the-secret")
    assert says(str(caught.value), "api_kee", "did you mean 'api_key'?")
    assert "the-secret" not in str(caught.value)


def test_awaitables_that_nobody_awaits() -> None:
    """Python names the method whose `await` was forgotten, or which wants `_sync`."""
    script = (
        "import handlebar\n"
        "with handlebar.init('desk', enforce_mode='off').run() as run:\n"
        "    run.before_tool('refund', {})\n"
    )
    assert says(run(script).stderr, "Run.before_tool", "never awaited")
