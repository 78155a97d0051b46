"""The contract that the server hands out, held against the server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from handlebar.server.app import ROUTES
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import Place, a_key, servers

OPEN = {("get", path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")}


ONLY_THE_LOADER_KNOWS = """
[[operations]]
include-operation-id = ["check", "createPolicy", "putPolicy", "deletePolicy", "putRules", "runs", "runEvents"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "412", "422", "5xx"]
"""
"""A schema cannot say which policies can be loaded, which version is in force, nor what a cursor holds."""


def contract() -> Any:
    """Return the contract as the package holds it."""
    return json.loads(resources.files("handlebar.server").joinpath("openapi.json").read_bytes())


def test_it_holds_what_there_is_and_nothing_else() -> None:
    """Every way in is in the contract, with its role, and the contract has no other."""
    written = {
        (method, path): operation
        for path, methods in contract()["paths"].items()
        for method, operation in methods.items()
    }
    known = {(route.method.lower(), re.sub(r"<(?:name:)?(\w+)>", r"{\1}", route.rule)): route.role for route in ROUTES}
    assert set(known) | OPEN == set(written)
    assert all(f"role `{role}`" in written[call]["description"] for call, role in known.items())
    assert OPEN == {call for call, operation in written.items() if operation.get("security") == []}


def test_its_references_lead_somewhere() -> None:
    """Nothing in the contract refers to what it does not hold."""
    document = contract()
    for reference in set(re.findall(r'"\$ref": "#/components/(\w+/\w+)"', json.dumps(document))):
        kind, name = reference.split("/")
        assert name in document["components"][kind]


def test_it_is_handed_out_as_it_is(place: Place) -> None:
    """The server gives everybody the contract."""
    assert contract() == place.app.test_client().get("/openapi.json").json


@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_the_server_keeps_it(tmp_path: Path) -> None:
    """Requests made up from the contract, good ones and bad ones, are answered as it says."""
    (tmp_path / "schemathesis.toml").write_text(ONLY_THE_LOADER_KNOWS)
    with servers(1, tmp_path / "plane.db", a_policy(a_rule(a_limit(3)))) as (served,):
        key = a_key(served.file).secret
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
        options = ["--header", f"Authorization: Bearer {key}", "--max-examples", "10", "--seed", "1", "--no-color"]
        outcome = subprocess.run(
            [*command, *options, "--phases", "coverage,fuzzing"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert 0 == outcome.returncode, outcome.stdout + outcome.stderr
    tested = re.search(r"Tested: (\d+)", outcome.stdout)
    assert tested is not None
    assert len(ROUTES) <= int(tested[1])
