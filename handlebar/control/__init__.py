"""The control plane: decides, remembers, answers; embedded in a process, on a database."""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "ApprovalAnswer": "handlebar.control.approvals",
    "ApprovalRecord": "handlebar.control.approvals",
    "ChainReport": "handlebar.control.audit",
    "EmbeddedControlPlane": "handlebar.control.service",
    "LockdownRecord": "handlebar.control.lockdowns",
    "RunView": "handlebar.control.runs",
    "open_control_plane": "handlebar.control.service",
}

__all__ = list(_HOMES)
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
