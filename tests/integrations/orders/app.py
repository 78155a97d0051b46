"""The shop's Celery app and its WSGI application: `celery -A tests.integrations.orders.app worker`, `app:wsgi`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integrations.orders.settings")

from celery import Celery
from django.core.wsgi import get_wsgi_application

import handlebar
from handlebar.integrations.celery import governed_task, setup
from handlebar.integrations.django import get_client

wsgi = get_wsgi_application()
app = Celery("orders")
app.config_from_object("django.conf:settings", namespace="CELERY")
setup(app, get_client)


@governed_task(app=app)
def settle(order: str) -> None:
    """Write down, in the database, which run has settled an order that is in it, and for whom."""
    from django.contrib.auth.models import User

    run = handlebar.get_current_run()
    assert run is not None
    lineage = [run.tags["handlebar.parent_run"], run.tags["handlebar.root_run"], run.session_id, run.actor.external_id]
    User.objects.filter(username=order).update(first_name=run.run_id, last_name=" ".join(lineage))
