"""Commands that try policies out, compare them and put them in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.support.servers import a_key, servers

POLICY = """
name: new
rules:
- name: once
  selector: {phase: tool.before, tool: {name: [refund, delete]}}
  condition:
    kind: and
    all:
    - {kind: maxCalls, selector: {by: toolName, patterns: [delete]}, max: 1}
    - {kind: toolArg, op: exists, path: path}
  effect: {type: hitl}
"""
CASES = """
policies: new.yaml
agent: desk
cases:
- {name: the second asks, tool: delete, args: {path: a}, past: [delete], expect: {effect: hitl, rule: once}}
- {name: the first does not, tool: delete, args: {path: a}, expect: allow}
"""
CALL = '{"tool": "delete", "args": {"path": "\\u001b[2J"}, "past": ["delete"]}'


@pytest.fixture(name="policy")
def _policy(tmp_path: Path) -> str:
    file = tmp_path / "new.yaml"
    file.write_text(POLICY)
    return str(file)


@pytest.fixture(name="cases")
def _cases(policy: str, tmp_path: Path) -> Path:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES)
    return file


class TestTest:
    def test_examples_that_hold(self, terminal: Terminal, cases: Path) -> None:
        """Where all is decided as expected one line says so, and the exit code is 0."""
        said = terminal.says("policy", "test", str(cases))
        assert (0, "Cases: 2, as expected: 2, failed: none.\n") == (said.code, said.out)

    def test_examples_that_do_not(self, terminal: Terminal, cases: Path) -> None:
        """An example that is decided otherwise is shown with the difference and why, and the exit code is 1."""
        cases.write_text(CASES.replace("expect: allow", "expect: block"))
        said = terminal.says("policy", "test", str(cases))
        assert 1 == said.code
        assert f"FAILED {cases}:6: the first does not" == said.lines[0]
        assert "  expected block, found allow" == said.lines[1]
        assert "- 1 or more calls of this run of delete: 0 such calls count so far" in said.out
        as_json = terminal.says("policy", "test", str(cases), "--json")
        assert (1, 1, [True, False]) == (
            as_json.code,
            as_json.document["failed"],
            [each["passed"] for each in as_json.document["results"]],
        )

    def test_the_databases_policies(self, terminal: Terminal, cases: Path, policy: str) -> None:
        """A file that names no policies is for those of --policies, else for those in force."""
        cases.write_text(CASES.replace("policies: new.yaml\n", ""))
        assert 0 == terminal.says("policy", "test", str(cases), "--policies", policy).code
        assert 1 == terminal.says("policy", "test", str(cases)).code

    def test_a_file_that_is_none(self, terminal: Terminal, cases: Path) -> None:
        """What is wrong in the file is told with its place."""
        cases.write_text("cases: [{name: a}]")
        said = terminal.says("policy", "test", str(cases))
        assert 1 == said.code
        assert f"{cases}:1: cases[0]: 'tool' is missing" in said.err


class TestExplain:
    def test_one_rule(self, terminal: Terminal, policy: str) -> None:
        """A rule is shown with the tree of its condition, each leaf with what was found; hostile text is escaped."""
        said = terminal.says("policy", "explain", "once", CALL, "--policies", policy)
        assert 0 == said.code
        assert "+ new/once: its condition holds -> hitl" == said.lines[0]
        assert "      + argument path exists: '\\x1b[2J' is text" == said.lines[-1]

    def test_all_rules(self, terminal: Terminal, policy: str) -> None:
        """With all, what comes of them stands last."""
        said = terminal.says("policy", "explain", "all", CALL, "--policies", policy)
        assert "All together: hitl, by new/once." == said.lines[-1]
        document = json.loads(terminal.says("policy", "explain", "all", CALL, "--policies", policy, "--json").out)
        assert ("hitl", "matched") == (document["effect"], document["rules"][0]["condition"]["parts"][1]["answer"])

    def test_a_rule_that_says_nothing(self, terminal: Terminal, policy: str) -> None:
        """A rule that does not match is 1, as one that there is not."""
        for rule, call in (("once", '{"tool": "other"}'), ("nonsense", CALL)):
            assert 1 == terminal.says("policy", "explain", rule, call, "--policies", policy).code

    def test_a_call_that_is_none(self, terminal: Terminal, policy: str) -> None:
        """A call that is no JSON is wrong usage."""
        assert 2 == terminal.says("policy", "explain", "once", "{", "--policies", policy).code


class TestReplay:
    def test_what_would_have_changed(self, terminal: Terminal, policy: str) -> None:
        """The calls in the database are decided again, and the changes are counted and shown."""
        document = terminal.document("policy", "replay", "--policies", policy)
        assert (6, 2, 0) == (document["calls"], document["changed"], document["doubtful"])
        assert {("block", "hitl", "delete"), ("hitl", "allow", "refund")} == {
            (each["before"], each["after"], each["tool"]) for each in document["changes"]
        }
        said = terminal.says("policy", "replay", "--policies", policy)
        assert (0, "Calls: 6 decided again, 2 would change; 0 doubtful, 0 under a lockdown.") == (
            said.code,
            said.lines[0],
        )
        assert all(line.isprintable() for line in said.lines)

    def test_an_export(self, terminal: Terminal, policy: str, tmp_path: Path) -> None:
        """An export is replayed as the database is, lines that are cut off or no events are passed over."""
        export = tmp_path / "export.jsonl"
        terminal.says("audit", "export", "--format", "jsonl", "-o", str(export))
        with export.open("a") as file:
            file.write('[1]\n"x"\n{"kind": "tool.dec')
        document = terminal.document("policy", "replay", "--policies", policy, "--events", str(export))
        assert (6, 2) == (document["calls"], document["changed"])

    def test_policies_for_certain_agents(self, terminal: Terminal, tmp_path: Path) -> None:
        """Of an export, which names no agents, it has to be said whose it is where policies ask for that."""
        policy, export = tmp_path / "some.yaml", tmp_path / "export.jsonl"
        policy.write_text(POLICY + "agentSelector: {anyOfSlugs: [desk]}\n")
        export.write_text("")
        arguments = ["policy", "replay", "--policies", str(policy), "--events", str(export)]
        assert 2 == terminal.says(*arguments).code
        assert 0 == terminal.says(*arguments, "--agent", "desk").code

    def test_only_some(self, terminal: Terminal, policy: str) -> None:
        """--run and --since leave other calls out; a run without calls is 1."""
        assert 6 == terminal.document("policy", "replay", "--policies", policy, "--run", "the-run")["calls"]
        assert 0 == terminal.document("policy", "replay", "--policies", policy, "--since", "2190-01-01T00:00Z")["calls"]
        assert 6 == terminal.document("policy", "replay", "--policies", policy, "--since", "1d")["calls"]
        assert 1 == terminal.says("policy", "replay", "--policies", policy, "--run", "nonsense").code
        assert 2 == terminal.says("policy", "replay", "--policies", policy, "--since", "yesterday").code


class TestChanges:
    def test_files_against_what_is_in_force(self, terminal: Terminal, policy: str) -> None:
        """Whole policies are added and removed; after a push there are no differences but what the push left."""
        said = terminal.says("policy", "diff", policy)
        assert (1, ["policy new", "  + the policy", "policy the-desk-s", "  - the policy"]) == (said.code, said.lines)
        pushed = terminal.document("policy", "push", policy)
        assert [{"id": "new", "version": 1, "changed": True}] == pushed
        assert [False] == [each["changed"] for each in terminal.document("policy", "push", policy)]
        assert ["policy the-desk-s", "  - the policy"] == terminal.says("policy", "diff", policy).lines

    def test_two_files(self, terminal: Terminal, policy: str, tmp_path: Path) -> None:
        """Two files are compared key by key; a file and itself do not differ."""
        other = tmp_path / "other.yaml"
        other.write_text(POLICY.replace("hitl", "block").replace("max: 1", "max: 2") + "mode: shadow\n")
        said = terminal.says("policy", "diff", policy, str(other))
        assert 1 == said.code
        assert [
            "policy new",
            '    ~ mode: "enforce" -> "shadow"',
            "  rule new/once",
            '    ~ effect.type: "hitl" -> "block"',
        ] == [line for line in said.lines if "condition" not in line]
        same = terminal.says("policy", "diff", policy, policy)
        assert (0, "There are no differences.\n") == (same.code, same.out)

    def test_another_owner(self, terminal: Terminal, tmp_path: Path) -> None:
        """What an agent's config has put in force is not pushed over."""
        file = tmp_path / "desk.yaml"
        file.write_text(POLICY.replace("name: new", "name: the desk's"))
        assert 1 == terminal.says("policy", "push", str(file)).code

    def test_a_control_plane_over_http(self, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Policies are pushed to a server with an admin's key; what it refuses is told, with 1."""
        terminal = Terminal(tmp_path / "plane.db")
        with servers(1, terminal.file) as (served,):
            arguments = ["policy", "push", policy, "--endpoint", served.url]
            assert 2 == terminal.says(*arguments).code
            monkeypatch.setenv("HANDLEBAR_API_KEY", a_key(served.file).secret)
            assert ["new: version 1, new."] == terminal.says(*arguments).lines
            assert ["new: version 1, unchanged."] == terminal.says(*arguments).lines
            monkeypatch.setenv("HANDLEBAR_API_KEY", a_key(served.file, role="agent").secret)
            said = terminal.says(*arguments)
            assert (1, True) == (said.code, said.err.startswith("Error: The control plane answered 403: "))
        assert 3 == terminal.says(*arguments).code
