"""What a URL of a database means, and what is said of one that means nothing."""

from __future__ import annotations

import sys

import pytest

from handlebar.control.database import Database
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.errors import ConfigError
from handlebar.server import create_app

BAD = ["postgres://me:secret@host/x", "postgresql://me:secret@host/x", "mysql://host/x", "nonsense", "sqlite://host/x"]


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_database(url: str) -> None:
    """It is refused by the name that its giver knows, with what would do, and without its password."""
    with pytest.raises(ConfigError, match=r"sqlite:///file\.db.*postgresql\+psycopg://") as caught:
        create_app(url)
    assert "database" == caught.value.field
    with pytest.raises(ConfigError, match=r"sqlite:///file\.db.*postgresql\+psycopg://") as caught:
        HandlebarClient.init_sync(HandlebarClientConfig(agent="desk", api_endpoint=url))
    assert "api_endpoint" == caught.value.field
    assert "secret" not in str(caught.value)


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the driver the error names the extra that brings it, and no password."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("postgres", "psycopg_connecting"):
        monkeypatch.delitem(sys.modules, f"handlebar.control.database.{name}", raising=False)
    with pytest.raises(ConfigError, match=r"handlebar\[postgres\]") as caught:
        Database("postgresql+psycopg://me:secret@host/x", field="here")
    assert "here" == caught.value.field
    assert "secret" not in str(caught.value)


def test_opening_touches_no_server() -> None:
    """A plane on a server that is not there can be made, and closed."""
    pytest.importorskip("psycopg")
    Database("postgresql+psycopg://127.0.0.1:1/x").close()
