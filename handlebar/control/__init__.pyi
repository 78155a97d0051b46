from handlebar.control.approvals import ApprovalAnswer as ApprovalAnswer
from handlebar.control.approvals import ApprovalRecord as ApprovalRecord
from handlebar.control.audit import ChainReport as ChainReport
from handlebar.control.lockdowns import LockdownRecord as LockdownRecord
from handlebar.control.runs import RunView as RunView
from handlebar.control.service import EmbeddedControlPlane as EmbeddedControlPlane
from handlebar.control.service import open_control_plane as open_control_plane

__all__ = [
    "ApprovalAnswer",
    "ApprovalRecord",
    "ChainReport",
    "EmbeddedControlPlane",
    "LockdownRecord",
    "RunView",
    "open_control_plane",
]
