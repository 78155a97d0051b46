from handlebar.integrations.django.configuration import get_client as get_client
from handlebar.integrations.django.middleware import HandlebarMiddleware as HandlebarMiddleware

__all__ = ["HandlebarMiddleware", "get_client"]
