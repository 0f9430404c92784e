"""Addresses of the refund operations."""

from django.urls import path

from refunds.api import views

urlpatterns = [
    path("v1/refunds", views.RefundCollection.as_view()),
    path("v1/refunds/<str:refund_id>", views.RefundView.as_view()),
]
