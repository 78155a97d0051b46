"""The project's settings."""

import os
import tempfile

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.integrations.django.project.urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("PROJECT_DATABASE") or os.path.join(tempfile.mkdtemp(), "project.db"),
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "handlebar.integrations.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "handlebar.integrations.django.HandlebarMiddleware",
]
HANDLEBAR = {
    "AGENT": "desk",
    "API_KEY": "the-key",
    "ENDPOINT": os.environ.get("PROJECT_CONTROL_PLANE", "http://127.0.0.1:1"),
}
