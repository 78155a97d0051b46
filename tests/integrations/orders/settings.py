"""The shop's settings."""

import os

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.integrations.orders.urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["ORDERS_POSTGRES_PORT"],
        "USER": "postgres",
        "NAME": os.environ["ORDERS_DATABASE"],
    }
}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "handlebar.integrations.django"]
MIDDLEWARE = ["handlebar.integrations.django.HandlebarMiddleware"]
HANDLEBAR = {
    "AGENT": "shop",
    "API_KEY": "the-key",
    "ENDPOINT": os.environ["ORDERS_CONTROL_PLANE"],
    "ACTOR": "tests.integrations.orders.urls.customer",
}
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ["ORDERS_BROKER"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_REDIRECT_STDOUTS = False
