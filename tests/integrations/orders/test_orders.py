"""From a web request to a task, end to end: Django and gunicorn, PostgreSQL, Valkey, Celery, a control plane."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")
pytest.importorskip("django", reason="Django is not installed: pip install handlebar[django]")
pytest.importorskip("gunicorn", reason="gunicorn is not installed")

from tests.integrations.orders.conftest import Shop
from tests.support.celery_workers import PATIENCE, works
from tests.support.web_servers import free_port, gunicorn

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

APP = "tests.integrations.orders.app"
ONE_THREAD = "1 ['MainThread']"
KINDS = ["run.started", "run.ended"]


def kinds(shop: Shop, run: str) -> list[str]:
    """Return what was told of a run."""
    return [event["kind"] for event in shop.plane.events() if event["runId"] == run]


def test_orders(shop: Shop) -> None:
    """Check 20: what a request publishes when it commits is a run of its own, under the request's run, session and
    actor; what is rolled back publishes nothing.
    """
    shop.manage()
    taken = [f"order-{n}" for n in range(20)]
    gthread = gunicorn("gthread", "-w", "2", "--threads", "4")
    environment = shop.environment()
    with (
        works(APP, shop.folder, "prefork", "-c", "2", **environment) as worker,
        gthread.serves(f"{APP}:wsgi", shop.folder, **environment) as web,
    ):
        failed = web.get_all([f"/order/failed-{n}?customer=u&fail" for n in range(5)], at_once=5)
        accepted = web.get_all([f"/order/{name}?customer=u-{name}" for name in taken], at_once=8)
        assert shop.plane.wait_for(lambda: 20 == len(shop.settled()), PATIENCE), worker.log.read_text()
        web.stop()
        worker.stop()
    assert ({409}, {202}) == ({got.status for got in failed}, {got.status for got in accepted})
    settled = shop.settled()
    expected = {name: [f"web-{name}", f"web-{name}", f"session-{name}", f"u-{name}"] for name in taken}
    assert expected == {name: lineage for name, (_, lineage) in settled.items()}
    assert 20 == len({run for run, _ in settled.values()})
    for name, (run, _) in settled.items():
        assert [KINDS, KINDS] == [kinds(shop, f"web-{name}"), kinds(shop, run)]
    told = {(event["sessionId"], event["actorExternalId"]) for event in shop.plane.events()}
    assert {(f"session-{name}", f"u-{name}") for name in taken} == {who for who in told if "order" in who[0]}
    # Only the runs of the requests that were rolled back: no task was published in them.
    assert {"run.started": 45, "run.ended": 45} == {
        kind: sum(event["kind"] == kind for event in shop.plane.events()) for kind in KINDS
    }


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc, which is Linux's")
def test_commands_touch_no_control_plane(shop: Shop) -> None:
    """Check 20: `check` and `migrate` start no thread and make no connection, whether anybody would accept one."""
    listening = shop.manage()
    nobody = shop.manage(f"http://127.0.0.1:{free_port()}")
    assert [ONE_THREAD] * 2 == [line for line in listening if "MainThread" in line]
    assert listening == nobody
    assert 0 == shop.plane.connections
