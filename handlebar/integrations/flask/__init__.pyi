from handlebar.integrations.flask.extension import Handlebar as Handlebar
from handlebar.integrations.flask.extension import current_run as current_run

__all__ = ["Handlebar", "current_run"]
