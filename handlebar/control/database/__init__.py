"""The database of the control plane."""

from handlebar.control.database.database import Database

__all__ = ["Database"]
