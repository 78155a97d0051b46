"""The control plane over HTTP: a thin skin over `handlebar.control`."""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "create_app": "handlebar.server.app",
    "serve": "handlebar.server.serving",
}

__all__ = list(_HOMES)
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
