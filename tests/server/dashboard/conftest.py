"""What the dashboard's tests share."""

from __future__ import annotations

import pytest

from tests.server.dashboard.browser import Person
from tests.support.servers import Place


@pytest.fixture
def visitor(place: Place) -> Person:
    """Somebody who has not logged in."""
    return Person(place.app.test_client())


@pytest.fixture
def boss(place: Place) -> Person:
    """An admin who has logged in."""
    person = Person(place.app.test_client())
    person.logs_in(place.key("admin").secret)
    return person


@pytest.fixture
def guest(place: Place) -> Person:
    """A viewer who has logged in."""
    person = Person(place.app.test_client())
    person.logs_in(place.key("viewer").secret)
    return person
