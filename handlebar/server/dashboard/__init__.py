"""The dashboard: see what agents did, answer what they ask. For people who answer for agents."""

from handlebar._plumbing.doors import lazy_door

_HOMES = {"create_dashboard": "handlebar.server.dashboard.mounting"}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
