"""Control planes over HTTP for tests: the app in this process, and served by others on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen
from flask import Flask
from werkzeug.test import TestResponse

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing, NewKey, Role
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.server import create_app, serve
from tests.support.control import ROOT, url_of


def a_key(file: Path, role: Role = "admin", *, tenant: str = "default") -> NewKey:
    """Make a key in the database *file*."""
    with closing(Database(url_of(file))) as database:
        return KeyRing(database).create("test", role=role, tenant=tenant)


@frozen
class Caller:
    """Somebody with a key, who asks an app in this process."""

    app: Flask
    secret: str

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        """Make a request; *body* is sent as JSON, bytes as they are."""
        headers = {"authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        sent = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
        return self.app.test_client().open(path, method=method, headers=headers, **sent, **more)

    def does(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Make a request that is answered well; return what is answered."""
        answer = self.call(method, path, body, **more)
        assert 200 == answer.status_code, answer.text
        return answer.json

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str | None]:
        """Make a request that is refused; return the status, the code and the field."""
        answer = self.call(method, path, body, **more)
        assert is_problem(answer), answer.text
        error = answer.get_json()["error"]
        return answer.status_code, error["code"], error.get("field")

    def registers(self, slug: str = "desk", **more: Any) -> str:
        """Register an agent; return its id."""
        return str(self.does("POST", "/v1/agents", {"slug": slug, **more})["agentId"])


def is_problem(answer: TestResponse) -> bool:
    """Whether *answer* says in JSON, and in the one shape for that, what was wrong."""
    error = (answer.get_json(silent=True) or {}).get("error", {})
    well_formed = set(error) in ({"code", "message"}, {"code", "message", "field"})
    return answer.mimetype == "application/json" and well_formed and all(isinstance(v, str) for v in error.values())


@frozen
class Place:
    """An app in this process, and its database."""

    app: Flask
    file: Path

    def caller(self, role: Role = "admin", *, tenant: str = "default") -> Caller:
        """Return somebody with a new key."""
        return Caller(self.app, self.key(role, tenant=tenant).secret)

    def key(self, role: Role = "admin", *, tenant: str = "default") -> NewKey:
        """Make a key."""
        return a_key(self.file, role, tenant=tenant)


@contextmanager
def a_place(file: Path, *policies: Any) -> Iterator[Place]:
    """Make an app on the database *file*; close it at the end."""
    app = create_app(url_of(file), policies=list(policies) or None)
    with closing(app.extensions["handlebar"]):
        yield Place(app, file)


@frozen
class Served:
    """A server in another process."""

    process: subprocess.Popen[str]
    url: str
    file: Path
    said: list[str] = field(factory=list)

    @contextmanager
    def client(self, agent: str = "desk", *, role: Role = "agent", **config: Any) -> Iterator[HandlebarClient]:
        """Open a client of ours, with a new key."""
        secret = a_key(self.file, role, tenant=config.pop("tenant", "default")).secret
        settings = {"fail_closed": True, "read_timeout": 30.0, "decision_timeout": 30.0, **config}
        made = HandlebarClientConfig(agent=agent, api_key=secret, api_endpoint=self.url, **settings)
        client = HandlebarClient.init_sync(made)
        try:
            yield client
        finally:
            client.shutdown_sync()


@contextmanager
def servers(number: int, file: Path, *policies: Any) -> Iterator[list[Served]]:
    """Serve the database *file* from so many processes, each on a port of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(file, *policies)) for _ in range(number)]


@contextmanager
def serving(file: Path, *policies: Any, port: int = 0) -> Iterator[Served]:
    """Serve the database *file* from a process, on that port; 0 for one that nobody has."""
    words = [str(file), json.dumps(policies), str(port)]
    with _process([sys.executable, "-W", "error", "-m", "tests.support.servers", *words]) as process:
        yield _served(process, file)


def _served(process: subprocess.Popen[str], file: Path) -> Served:
    """Read what a server says until it listens."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "http://" in line:
            return Served(process, line.split()[-1], file, said)
    raise AssertionError("the server has ended")


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    serve(url_of(Path(sys.argv[1])), port=int(sys.argv[3]), policies=json.loads(sys.argv[2]) or None)
