"""The project's URLs."""

from django.urls import path

from tests.integrations.django.project import views

urlpatterns = [
    path("health", views.health, name="health"),
    path("sync", views.sync_view),
    path("async", views.async_view),
    path("left", views.left_in_pools),
    path("failing-sync", views.failing_sync),
    path("failing-async", views.failing_async),
    path("answering/<int:status>", views.answering),
    path("stream", views.stream),
    path("stream-async", views.stream_async),
    path("slow", views.slow),
    path("after", views.what_came_after),
    path("refund", views.refund),
    path("current", views.current, name="current"),
]
