"""Addresses of the examples."""

from django.urls import path

from payments.examples import views

urlpatterns = [
    path("examples/embedded", views.embedded, name="example_embedded"),
    path("examples/embedded/<str:verb>", views.act, name="example_act"),
]
