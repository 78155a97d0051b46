"""Somebody with a browser, as far as a test client is one; pages are looked at as text."""

from __future__ import annotations

import html
import re
from typing import Any

from attrs import frozen
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PREFIX = "/dashboard"


@frozen
class Person:
    """Somebody at the dashboard."""

    client: FlaskClient

    def logs_in(self, secret: str) -> TestResponse:
        """Log in with a key."""
        return self.client.post(f"{PREFIX}/log-in", data={"key": secret})

    def looks(self, path: str) -> TestResponse:
        """Look at a page."""
        return self.client.get(f"{PREFIX}{path}")

    def sees(self, path: str) -> str:
        """Look at a page that is there; return what it says."""
        answer = self.looks(path)
        assert 200 == answer.status_code, answer.text
        return html.unescape(answer.text)

    def csrf(self) -> str:
        """Return the token that forms carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.looks("/").text)
        assert found is not None
        return found[1]

    def sends(self, path: str, **fields: Any) -> TestResponse:
        """Send a form of ours."""
        return self.client.post(f"{PREFIX}{path}", data={"csrf": self.csrf(), **fields})
