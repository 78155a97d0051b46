"""The project's URLs."""

from django.urls import path

from django_support_parts import views

urlpatterns = [
    path("login", views.log_in),
    path("orders/<order>", views.order),
    path("orders/<order>/refund", views.refund),
    path("orders/<order>/refund/stream", views.stream),
    path("approvals/<approval>", views.go_on),
]
