from handlebar.integrations.celery.setting_up import setup as setup
from handlebar.integrations.celery.tasks import governed_task as governed_task

__all__ = ["governed_task", "setup"]
