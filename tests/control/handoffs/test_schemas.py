"""JSON Schemas: kept where they can be worked with, and no way to make the server work for ever."""

from __future__ import annotations

import time
from typing import Any

import pytest

from handlebar.control.handoffs import schema_checking
from tests.support.handoffs import Office, Somebody, a_draft
from tests.support.http_server import HttpServer

SUMMARY = {"type": "object", "properties": {"summary": {"type": "string", "pattern": "^Parcel"}}}


def kept(writer: Somebody, schema: dict[str, Any], **more: Any) -> str:
    """Keep a schema; return its id."""
    return str(writer.does("POST", "schemas", {"name": "ctx", "json_schema": schema, **more})["id"])


@pytest.fixture(name="writer")
def _writer(office: Office) -> Somebody:
    return office.somebody("writer")


def laughs(levels: int = 40) -> dict[str, Any]:
    """Return a small schema that says itself twice on each level."""
    below = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(levels)}
    return {"type": "object", "$ref": "#/$defs/l0", "$defs": {**below, f"l{levels}": {}}}


class TestKeeping:
    """What is kept can be worked with."""

    def test_schemas_are_kept_by_tenant(self, office: Office, writer: Somebody) -> None:
        """They are answered, found and listed, newest first; another tenant finds nothing."""
        made = writer.does("POST", "schemas", {"name": "ctx", "json_schema": SUMMARY})
        assert {"id", "name", "version", "json_schema", "tenant_id", "created_at"} == set(made)
        assert (1, SUMMARY, "default") == (made["version"], made["json_schema"], made["tenant_id"])
        assert made == writer.does("GET", f"schemas/{made['id']}")
        second = writer.does("POST", "schemas", {"name": "ctx", "json_schema": {"type": "object"}, "version": 2})
        assert {"schemas": [second, made], "total": 2, "limit": 50, "offset": 0} == writer.does("GET", "schemas")
        assert [made] == writer.does("GET", "schemas?limit=1&offset=1")["schemas"]
        stranger = office.somebody(tenant="other")
        assert 0 == stranger.does("GET", "schemas")["total"]
        assert 404 == stranger.refused("GET", f"schemas/{made['id']}")[0]
        assert 403 == office.somebody("reader").refused("GET", "schemas")[0]

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"properties": {}},
            {"type": "thing"},
            {"type": "object", "properties": {"a": {"minimum": "x"}}},
            {"type": "object", "$ref": "http://127.0.0.1:1/schema.json"},
            {"type": "object", "$ref": "file:///etc/passwd"},
            {"type": "object", "$ref": "#/$defs/nothing"},
            {"type": "object", "properties": {"a": {"pattern": "("}}},
            {"type": "object", "properties": {"a": {"pattern": "(?=a)b"}}},
            {"type": "object", "patternProperties": {"(a)\\1": {}}},
            {"type": "object", "description": "x" * 70_000},
        ],
    )
    def test_what_cannot_be_worked_with_is_refused(self, writer: Somebody, schema: dict[str, Any]) -> None:
        """An invalid schema, a reference that leads out or nowhere, a regex that could backtrack, and a huge one."""
        status, detail = writer.refused("POST", "schemas", {"name": "ctx", "json_schema": schema})
        assert (422, ["body", "json_schema"]) == (status, detail[0]["loc"])
        assert 0 == writer.does("GET", "schemas")["total"]

    def test_the_rest_is_checked_too(self, writer: Somebody) -> None:
        """A version below one, a name that is none and a schema that is no object are refused."""
        for wrong in ({"version": 0}, {"version": 2**31}, {"name": ""}, {"json_schema": "x"}, {"json_schema": None}):
            whole = {"name": "ctx", "json_schema": SUMMARY, **wrong}
            assert 422 == writer.refused("POST", "schemas", whole)[0]

    def test_older_drafts_are_understood(self, writer: Somebody) -> None:
        """A schema that names its draft is taken by the rules of that draft."""
        draft = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
        assert kept(writer, {**draft, "definitions": {"a": {}}, "properties": {"b": {"$ref": "#/definitions/a"}}})


class TestChecking:
    """A packet's context has to be as its schema says."""

    def test_a_context_that_does_not_fit_makes_no_packet(self, writer: Somebody) -> None:
        """The answer says in words what is wrong and where; one that fits makes a packet."""
        schema = kept(writer, SUMMARY)
        status, detail = writer.refused("POST", "packets", a_draft("Letter lost", schema_id=schema))
        assert 422 == status
        assert "summary" in detail
        assert [] == writer.finds()
        writer.does("POST", "packets", a_draft("Parcel lost", schema_id=schema))
        assert ["Parcel lost"] == writer.finds()

    def test_a_schema_of_another_tenant_is_none(self, office: Office, writer: Somebody) -> None:
        """As is one that was never kept."""
        other = kept(office.somebody(tenant="other"), SUMMARY)
        for schema_id in (other, "nothing"):
            status, detail = writer.refused("POST", "packets", a_draft(schema_id=schema_id))
            assert (422, True) == (status, isinstance(detail, str))

    def test_a_schema_that_would_take_for_ever_is_given_up(self, writer: Somebody) -> None:
        """One that doubles on each of forty levels is refused a packet within moments, as is one without an end."""
        started = time.monotonic()
        for schema in (laughs(), {"type": "object", "$ref": "#"}):
            assert 422 == writer.refused("POST", "packets", a_draft(schema_id=kept(writer, schema)))[0]
        assert time.monotonic() - started < 30

    def test_no_request_goes_out(self) -> None:
        """A reference out of the schema is not followed, even where one had been kept before."""
        with HttpServer() as server:
            problem = schema_checking.problem_in({"type": "object", "$ref": server.url + "/s.json"}, {})
            assert [] == server.requests
        assert problem is not None

    def test_a_regex_takes_linear_time(self) -> None:
        """A pattern that others backtrack on for ever is done at once, in values and in names."""
        started = time.monotonic()
        text = "a" * 40 + "!"
        assert schema_checking.problem_in({"pattern": "^(a+)+$"}, text) is not None
        by_name = {"patternProperties": {"^(a+)+$": {"type": "string"}}}
        assert schema_checking.problem_in(by_name, {text: 1}) is None
        assert schema_checking.problem_in(by_name, {"aa": 1}) is not None
        assert time.monotonic() - started < 30

    @pytest.mark.parametrize(
        ("items", "unique"),
        [
            ([1, 2, "1"], True),
            ([1, 1.0], False),
            ([1, True], True),
            ([{"a": 1, "b": [0]}, {"b": [0.0], "a": 1}], False),
            ([[1], [2], [1]], False),
            ([None, False, 0, ""], True),
        ],
    )
    def test_items_are_different_as_json_is(self, items: list[Any], unique: bool) -> None:
        """1 is 1.0 and not true, and the order of members says nothing."""
        assert unique is (schema_checking.problem_in({"uniqueItems": True}, items) is None)
