"""
Handlebar for Django: an app, a middleware, and the client that the setting HANDLEBAR describes.

    INSTALLED_APPS = [..., "handlebar.integrations.django"]
    MIDDLEWARE = [..., "django.contrib.auth.middleware.AuthenticationMiddleware",
                  "handlebar.integrations.django.HandlebarMiddleware"]
    HANDLEBAR = {"AGENT": "refund-desk"}

In a view, `with get_client().run() as run: ...`
"""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "HandlebarMiddleware": "handlebar.integrations.django.middleware",
    "get_client": "handlebar.integrations.django.configuration",
}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
