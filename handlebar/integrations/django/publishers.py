"""Celery tasks that are published in requests: they take the session, the actor and the run along."""

from __future__ import annotations

from typing import Any

from handlebar.integrations.celery import publishing
from handlebar.integrations.django.configuration import configuration
from handlebar.integrations.serving.settings import has_celery


def connect() -> None:
    """Listen to Celery's publishers, where it is installed; HANDLEBAR["CELERY"] is read when one publishes."""
    if has_celery():
        from celery import signals  # only where the application has it

        signals.before_task_publish.connect(_publishing, weak=False, dispatch_uid="handlebar.django")


def _publishing(**message: Any) -> None:
    if configuration().settings.celery:
        publishing.tell(**message)
