"""The Django project of the tests: the one that a process of tests has."""

from __future__ import annotations

import pytest

NAME = "DJANGO_SETTINGS_MODULE"


def the_project_is_set_up() -> None:
    """Set Django up with the project; processes that tests start choose a project of their own."""
    import django

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NAME, "tests.integrations.django.project.settings")
        django.setup()
