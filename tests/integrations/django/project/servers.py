"""What servers serve: `servers:wsgi`, `servers:asgi`."""

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from handlebar.integrations.asgi import HandlebarASGI

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integrations.django.project.settings")

wsgi = get_wsgi_application()
unwrapped_asgi = get_asgi_application()
asgi = HandlebarASGI(unwrapped_asgi)
