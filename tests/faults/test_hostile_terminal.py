"""What a hostile agent says, in whichever field, reaches no terminal raw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from handlebar import HandlebarClient, HandlebarClientConfig, LLMMessage
from handlebar.core.schema.agents import Actor, AgentDescriptor, Tool
from tests.cli.terminal import Terminal
from tests.cli.test_processes import seen
from tests.support.control import a_policy, a_rule, url_of

NASTY = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eevil\u2066\u200f\r\n\x00\x7f\u2028[bold]x[/bold]"
LONG = NASTY + "y" * 20_000


def fill(file: Path) -> None:
    """Let an agent put hostile text into every field that it, its policies and its people have."""
    block = a_rule({"kind": "toolName", "op": "eq", "value": "delete"}, name=NASTY)
    ask = a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl", name=NASTY + "2")
    for rule in (block, ask):
        rule["effect"] |= {"reason": NASTY, "guidance": NASTY}
    agent = AgentDescriptor("desk", name=NASTY, description=NASTY, tags=(NASTY,))
    policy = a_policy(block, ask, name=NASTY, description=NASTY)
    tools = (Tool("delete", NASTY, (NASTY,)), Tool(NASTY, NASTY))
    config = HandlebarClientConfig(agent=agent, api_endpoint=url_of(file), policies=[policy], tools=tools)
    client = HandlebarClient.init_sync(config)
    actor = Actor(NASTY, metadata={NASTY: NASTY})
    with client.run(NASTY, session_id=NASTY, actor=actor, model=NASTY, tags={NASTY: NASTY}) as run:
        run.before_llm_sync([LLMMessage("user", LONG)])
        for name in ("delete", NASTY, "wire"):
            run.before_tool_sync(name, {NASTY: LONG}, [NASTY])
            run.after_tool_sync(name, {NASTY: LONG}, LONG, error=ValueError(NASTY))
    client.shutdown_sync()


@pytest.fixture(name="filled", scope="module")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nasty") / "plane.db"
    fill(file)
    return file


@pytest.fixture(name="terminal")
def _terminal(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("HANDLEBAR_DATABASE", raising=False)
    return Terminal(shutil.copy(filled, tmp_path / "plane.db"))


COMMANDS = [
    "runs list",
    "runs show RUN",
    "runs tail --run RUN --from-start --no-follow",
    "runs tail --run RUN --from-start --no-follow --json",
    "runs tail NASTY",
    "agents list",
    "agents show desk",
    "approvals list",
    "approvals show APPROVAL",
    "approvals approve APPROVAL --by NASTY --note NASTY",
    "approvals deny APPROVAL --by NASTY --note NASTY",
    "lockdown set desk --reason NASTY",
    "lockdown set desk --tool NASTY --reason NASTY",
    "lockdown list",
    "inbox",
    "audit verify",
    "audit verify NASTY",
    "policy list",
    "policy validate NASTY",
    "policy push NASTY",
    "keys create --name NASTY --role viewer",
    "keys list",
    "runs show NASTY",
    "agents show NASTY",
    "approvals show NASTY",
    "inbox answer NASTY NASTY",
    "lockdown status",
    "agents status desk",
    "NASTY",
]


def is_harmless(text: str) -> bool:
    """Whether a terminal does nothing but show *text*, line by line."""
    return all(line.replace("\t", "").isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_show_nothing_raw(terminal: Terminal, command: str) -> None:
    """Not on success, not where it is refused or misused, and where it is a table not endlessly."""
    pending = terminal.document("approvals", "list")
    stands_for = {"NASTY": NASTY.replace("\0", ""), "RUN": NASTY, "APPROVAL": _first_id(pending)}
    words = [stands_for.get(word, word) for word in command.split()]
    said = terminal.says(*words)
    assert said.code in (0, 1, 2, 3)
    assert is_harmless(said.out)
    assert is_harmless(said.err)


def _first_id(listed: object) -> str:
    """Return the first id in what `--json` lists."""
    found = json.dumps(listed).partition('"id": "')[2].partition('"')[0]
    assert found, listed
    return found


def test_a_table_cuts_what_is_endless(terminal: Terminal) -> None:
    """So one call's arguments do not scroll all others away."""
    assert max(map(len, terminal.says("runs", "list").lines)) < 2_000


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_to_a_terminal(filled: Path, form: str) -> None:
    """What is exact in a file, down to each byte, is neutralised where somebody looks at it."""
    said = seen("audit", "export", "--format", form, "--database", url_of(filled))
    assert "evil" in said
    # The bar that shows how far it is has commands of its own.
    assert [] == [each for each in ("\x1b]", "\x07", "\x9b", "\u202e", "\u2066", "\x7f", "\u2028") if each in said]
