"""
Handlebar for Celery.

    app = Celery("shop", broker="redis://localhost")
    handlebar.init("refund-desk", ...)
    setup(app)                      # where tasks are published, and where they run

    @governed_task(bind=True, max_retries=3)
    def answer(self, ticket): ...   # a run of its own, under the session and the actor of whoever published it

A task finds whom it acts for in its message's headers. They are as trustworthy as the broker: whoever can publish can
name an actor, unless `setup(signing_key=…)` gives the publishers and the workers a key that they share.
"""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "governed_task": "handlebar.integrations.celery.tasks",
    "setup": "handlebar.integrations.celery.setting_up",
}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
