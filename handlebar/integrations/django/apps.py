"""The app: what is connected when Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import got_request_exception, setting_changed

from handlebar.integrations.django import checks, configuration, middleware, publishers


class HandlebarConfig(AppConfig):
    """Has no models; being ready starts no thread, opens no socket and asks no database."""

    name = "handlebar.integrations.django"
    label = "handlebar"
    verbose_name = "Handlebar"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect signals, and register checks."""
        setting_changed.connect(configuration.setting_changed, dispatch_uid="handlebar")
        got_request_exception.connect(middleware.note_error, dispatch_uid="handlebar")
        publishers.connect()
        register(checks.check_settings, "handlebar")
        register(checks.check_middleware, "handlebar")
        register(checks.check_deployment, "handlebar", deploy=True)
