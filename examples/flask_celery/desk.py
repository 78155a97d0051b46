"""The desk: its client, its Celery app, its tools, and the task. The page and the worker both import it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

import handlebar
from handlebar.integrations.celery import governed_task, setup

FOLDER = Path(os.environ.get("DESK_FOLDER", ".")).resolve()
_QUEUE = FOLDER / "queue"
_RESULTS = FOLDER / "results"
_TOTALS = {"A-17": 40.0, "A-18": 250.0, "A-19": 900.0}

client = handlebar.init(
    "returns-desk",
    api_endpoint=f"sqlite:///{FOLDER / 'handlebar.db'}",
    policies=str(Path(__file__).with_name("policies.yaml")),
    fail_closed=True,  # where nobody can be asked, no money moves
)

for place in (_QUEUE, _RESULTS):
    place.mkdir(parents=True, exist_ok=True)
# Messages are files here, so that the example needs no broker; yours has Redis or RabbitMQ.
celery = Celery("desk", broker="filesystem://", backend=f"file://{_RESULTS}")
celery.conf.broker_transport_options = {
    "data_folder_in": str(_QUEUE),
    "data_folder_out": str(_QUEUE),
    "control_folder": str(FOLDER / "control"),
}
setup(celery)


@handlebar.tool(tags=["orders", "read"])
def look_up_order(order: str) -> dict[str, Any]:
    """Look up one order."""
    return {"order": order, "total": _TOTALS[order]}


@handlebar.tool(tags=["warehouse", "read"])
def search_the_warehouse(order: str) -> str:
    """Look whether the parcel has come back; somebody walks the aisles, so it takes a while."""
    time.sleep(0.5)
    return f"the parcel of {order} is in aisle 4"


# Where a person has to approve it, the task is parked, and comes back when there is an answer.
@handlebar.tool(tags=["payments", "write"], on_approval="raise")
def issue_refund(order: str, amount: float) -> str:
    """Give money back."""
    return f"{amount:.2f} of order {order} refunded"


@governed_task(app=celery, handlebar={"look_seconds": 2.0})
def settle(order: str, amount: float) -> list[str]:
    """Settle a return: a run of its own, for whoever asked for it on the page."""
    return [search_the_warehouse(order), issue_refund(order, amount)]
