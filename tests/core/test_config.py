"""What a client and a run are configured with, and what is refused at the door."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from handlebar.core import (
    Actor,
    AgentDescriptor,
    ConsoleSinkConfig,
    HandlebarClientConfig,
    ModelInfo,
    RunConfig,
    Tool,
)
from handlebar.errors import ConfigError

WRONG = [
    ("agent", ""),
    ("agent", 7),
    ("api_key", ""),
    ("api_key", 7),
    ("api_endpoint", " "),
    ("fail_closed", "yes"),
    ("enforce_mode", "enforced"),
    ("enforce_mode", True),
    ("sinks", [7]),
    ("sinks", "console"),
    ("tools", [7]),
    ("tools", "search"),
    ("metric_hooks", [len]),
    ("subject_registry", {}),
    ("actor", 7),
    ("actor", ""),
    ("policies", 7),
    ("evaluate", "somewhere"),
    ("redactors", ["mask"]),
    ("redactors", len),
    ("signals", {"risk": 7}),
    ("custom_functions", [len]),
    ("connect_timeout", 0),
    ("read_timeout", -1),
    ("decision_timeout", "10"),
    ("decision_timeout", float("inf")),
    ("decision_timeout", True),
    ("session", object()),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: repr(value)[:20])
def test_a_wrong_value_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    """The message names the field; nothing is made."""
    fields: dict[str, Any] = {"agent": "desk", name: value}
    with pytest.raises(ConfigError) as caught:
        HandlebarClientConfig(**fields)
    expected = {"agent": "AgentDescriptor.slug" if value == "" else "agent", "actor": ""}.get(name, name)
    assert expected in caught.value.field
    assert caught.value.allowed in str(caught.value)


def test_the_message_says_what_is_allowed() -> None:
    """Field, value and what would do, in one line."""
    with pytest.raises(ConfigError) as caught:
        HandlebarClientConfig("desk", enforce_mode="enforced")  # type: ignore[arg-type]  # the mistake is the point
    assert (
        str(caught.value) == "HandlebarClientConfig.enforce_mode: 'enforced' is not allowed; "
        "expected one of 'enforce', 'shadow', 'off'"
    )


def test_an_error_about_a_key_does_not_show_the_key() -> None:
    """Neither the repr of a config nor a complaint about its key tells the key."""
    assert "secret" not in repr(HandlebarClientConfig("desk", api_key="secret"))
    with pytest.raises(ConfigError) as caught:
        HandlebarClientConfig("desk", api_key=b"secret")  # type: ignore[arg-type]  # the mistake is the point
    assert "secret" not in str(caught.value)


def test_short_forms_stand_for_their_objects() -> None:
    """A str is a slug, an external id, a model's name; a function is a tool."""

    def search() -> None:
        """Find things."""

    config = HandlebarClientConfig("desk", actor="u-1", tools=[search])
    assert AgentDescriptor("desk") == config.agent
    assert Actor("u-1") == config.actor
    assert (Tool("search", "Find things."),) == config.tools
    run = RunConfig("r", actor="u-2", model="gpt-4o")
    assert (Actor("u-2"), ModelInfo("gpt-4o")) == (run.actor, run.model)


def test_a_session_and_sinks_are_taken_as_they_are() -> None:
    """Objects of the right kind pass."""
    with requests.Session() as session:
        config = HandlebarClientConfig("desk", session=session, sinks=[ConsoleSinkConfig()])
        assert session is config.session
        assert (ConsoleSinkConfig(),) == config.sinks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", ""),
        ("run_id", None),
        ("session_id", " "),
        ("actor", 7),
        ("model", 7),
        ("tags", {"a": 1}),
        ("tags", ["a"]),
        ("run_ttl_ms", 0),
        ("run_ttl_ms", "5"),
    ],
)
def test_a_wrong_run_is_refused(name: str, value: Any) -> None:
    """A run is checked like a client."""
    with pytest.raises(ConfigError, match=name):
        RunConfig(**{"run_id": "r", name: value})


def test_configs_cannot_be_changed() -> None:
    """Changing one means making another."""
    with pytest.raises(AttributeError):
        HandlebarClientConfig("desk").fail_closed = True  # type: ignore[misc]  # the mistake is the point
