"""What answers mean, from the API's own words to garbage."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handlebar.errors import HandlebarError
from handlebar.handoff import HandoffRailClient, exceptions
from handlebar.handoff.answers import error_of, record_in, records_in
from handlebar.handoff.exceptions import (
    AuthenticationError,
    HandoffRailError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ValidationError,
)
from handlebar.handoff.exchange import Answer, Call
from handlebar.handoff.models import PacketListResponse, PacketResponse, StatsResponse, WebhookResponse
from tests.handoff.packets import KEY, packet, says, stored
from tests.support.http_server import Answer as Reply
from tests.support.http_server import Html, HttpServer, Huge, WrongLength

CALL = Call(method="GET", path=("packets", "p-1"))
CLAIMED = {"message": "Already claimed", "claimed_by": {"id": "c", "name": "C", "framework": None}}
DETAILS = [
    {"type": "missing", "loc": ["body", "context", "summary"], "msg": "Field required", "input": {}},
    {"type": "enum", "loc": ["body", "decisions", 0, "id"], "msg": "Wrong", "input": 1},
]


def meant(status: int, body: Any, **headers: str) -> HandoffRailError:
    """Return the error that an answer means; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of(CALL, Answer(status, headers, content))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (405, ServerError),
        (409, ValidationError),
        (410, NotFoundError),
        (413, ValidationError),
        (422, ValidationError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (302, ServerError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[HandoffRailError]) -> None:
    """With the server's own words, its body, and the status."""
    error = meant(status, {"detail": "Its own words"})
    assert kind is type(error)
    assert ("Its own words", status, {"detail": "Its own words"}) == (
        error.message,
        error.status_code,
        error.response_body,
    )
    assert "Its own words" == str(error)


def test_who_has_claimed_a_packet_is_told() -> None:
    """The words are the message, and the claimant is in the body."""
    error = meant(409, {"detail": CLAIMED})
    assert "Already claimed" == error.message
    assert "c" == error.response_body["detail"]["claimed_by"]["id"]
    assert error.field is None


def test_the_first_fault_of_a_body_is_the_field() -> None:
    """As a dotted path; the message tells all faults."""
    error = meant(422, {"detail": DETAILS})
    assert "body.context.summary" == error.field
    assert "body.context.summary: Field required; body.decisions.0.id: Wrong" == error.message


def test_a_field_that_the_server_names_counts_first() -> None:
    """Whatever else it says."""
    assert "rate_limit" == meant(429, {"detail": DETAILS, "field": "rate_limit"}).field


def test_what_was_not_found_is_named() -> None:
    """Its id is beside the message."""
    error = meant(410, {"detail": "Expired"})
    assert isinstance(error, NotFoundError)
    assert "p-1" == error.resource_id


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The server answered 500"),
        (b"<html>Bad gateway</html>", "The server answered 500"),
        (b"[1,", "The server answered 500"),
        (b"\xff\xfe", "The server answered 500"),
        (b"[" * 100_000, "The server answered 500"),
        (b'["x"]', "The server answered 500"),
        (b'"Out of order"', "Out of order"),
        (b'{"error": "Out of order"}', "Out of order"),
        (b'{"detail": {"message": 5}}', "The server answered 500"),
        (b'{"detail": [{"loc": 5, "msg": "odd"}, 7]}', "odd"),
        (b'{"detail": [{"loc": null}]}', "The server answered 500"),
    ],
    ids=range(11),
)
def test_any_body_of_a_failure(body: bytes, message: str) -> None:
    """It is a ServerError with a message whatever its body is."""
    error = meant(500, body)
    assert ServerError is type(error)
    assert message == error.message
    assert isinstance(error.response_body, dict)


def test_plain_text_is_a_servers_own_words() -> None:
    """As the original answers what it did not expect."""
    assert "Internal Server Error" == meant(500, b"Internal Server Error", **{"content-type": "text/plain"}).message


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'"x"', b"{}", b'{"id": NaN}', b"[" * 100_000])
def test_an_answer_of_another_shape(body: bytes) -> None:
    """A 2xx that is not what the API promises is the server's fault, and says so."""
    with pytest.raises(ServerError, match="base_url") as unfit:
        record_in(Answer(200, {}, body), PacketResponse)
    assert 200 == unfit.value.status_code
    with pytest.raises(ServerError):
        records_in(Answer(200, {}, b"{}" if body == b"[]" else body), WebhookResponse)


def test_the_field_of_an_answer_that_does_not_fit() -> None:
    """Is named with its whole path."""
    page = {"packets": [stored(status="eaten")], "total": 1, "limit": 50, "offset": 0}
    with pytest.raises(ServerError) as unfit:
        record_in(Answer(200, {}, json.dumps(page).encode()), PacketListResponse)
    assert "packets.0.status" == unfit.value.field


@pytest.mark.parametrize("reply", [Html(), Html(201), Reply(204), Reply(200, b"[]"), Huge(9 << 20), WrongLength()])
def test_odd_answers_over_the_wire(server: HttpServer, reply: Any) -> None:
    """Nothing but our own errors comes out of the client."""
    server.behave(reply)
    with HandoffRailClient(server.url, KEY, max_retries=0, timeout=5) as client, pytest.raises(HandoffRailError):
        client.get_packet("p")


def test_the_tree() -> None:
    """Every error is a HandoffRailError, which is a HandlebarError; a ValidationError is a ValueError as well."""
    kinds = [AuthenticationError, NotFoundError, ValidationError, RateLimitError, ServerError]
    for kind in [*kinds, exceptions.ConnectionError]:
        assert issubclass(kind, HandoffRailError)
        assert kind().message
    assert issubclass(HandoffRailError, HandlebarError)
    assert issubclass(ValidationError, ValueError)
    assert [401, 404, 400, 429, 500] == [kind().status_code for kind in kinds]
    assert exceptions.ConnectionError is not ConnectionError
    assert not issubclass(exceptions.ConnectionError, OSError)


def test_errors_can_be_pickled_and_copied() -> None:
    """They cross processes with all that they say."""
    limited = RateLimitError("slow", retry_after=5, response_body={"detail": "slow"}, field="rate_limit")
    for twin in (pickle.loads(pickle.dumps(limited)), copy.copy(limited)):
        assert (str(limited), vars(limited)) == (str(twin), vars(twin))
    assert "RateLimitError('slow', status_code=429)" == repr(limited)


METHODS: list[Any] = [
    lambda c: c.get_packet("p"),
    lambda c: c.create_packet(packet()),
    lambda c: c.list_packets(),
    lambda c: list(c.iter_packets()),
    lambda c: c.complete_packet("p"),
    lambda c: c.get_history("p"),
    lambda c: c.batch_complete_packets(["5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11"]),
    lambda c: c.list_webhooks(),
    lambda c: c.list_dead_letters(),
    lambda c: c.create_api_key(name="k"),
    lambda c: c.list_tenants(),
    lambda c: c.get_stats(),
    lambda c: c.delete_packet("p"),
    lambda c: next(c.stream_events()),
]
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary(max_size=40) | jsons.map(lambda value: json.dumps(value).encode())
shaped = st.builds(lambda detail: json.dumps({"detail": detail, "field": detail}).encode(), jsons)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([200, 200, 201, 204, 301, 400, 401, 404, 409, 410, 418, 422, 429, 500, 502, 503]),
    body=bodies | shaped,
    retry_after=st.sampled_from(["0", "1e400", "nan", "-1", "soon", "Thu, 99 Foo 2026", "9" * 400]),
    method=st.sampled_from(METHODS),
)
@example(status=200, body=b"[" * 100_000, retry_after="0", method=METHODS[0])
@example(status=200, body=b"1" * 10_000, retry_after="0", method=METHODS[0])
def test_garbage(server: HttpServer, status: int, body: bytes, retry_after: str, method: Any) -> None:
    """Whatever a server answers, what comes out is a result or an error of ours."""
    server.behave(Reply(status, body, {"retry-after": retry_after}))
    with HandoffRailClient(server.url, KEY, timeout=5, max_retries=1, retry_delay=0.001) as client:
        error = _error_of(client, method)
    if error is not None:
        assert error.message
        assert isinstance(error.response_body, dict)
        pickle.dumps(error)


def _error_of(client: HandoffRailClient, method: Any) -> HandoffRailError | None:
    try:
        method(client)
    except HandoffRailError as error:
        return error
    return None


def test_a_lenient_record(server: HttpServer) -> None:
    """What an older server leaves out has a value all the same."""
    server.behave(says({"total_packets": 0}))
    with HandoffRailClient(server.url, KEY) as client:
        assert StatsResponse(total_packets=0) == client.get_stats()
