"""The project's settings; everything that is Handlebar's is in INSTALLED_APPS, MIDDLEWARE and HANDLEBAR."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("SUPPORT_FOLDER", "."))

SECRET_KEY = "an example's only"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "django_support_parts.urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "support.db"}}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "handlebar.integrations.django",
]
# A page of your own also has CsrfViewMiddleware; here the client is a program that sends JSON.
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "handlebar.integrations.django.HandlebarMiddleware",
]
HANDLEBAR = {
    "AGENT": "support-page",
    "ENDPOINT": f"sqlite:///{FOLDER.resolve() / 'handlebar.db'}",
    "POLICIES": str(Path(__file__).resolve().parents[1] / "django_support.yaml"),
    "FAIL_CLOSED": True,  # where nobody can be asked, no money moves
    "ERROR_RESPONSES": True,  # a refusal is answered as JSON: 403, or 202 where a person is asked
    "SESSION": "django_support_parts.views.conversation",
}
