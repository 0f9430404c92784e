"""Addresses of the refund and dispute operations."""

from django.urls import path

from refunds.api import disputes, views

urlpatterns = [
    path("v1/refunds", views.RefundCollection.as_view()),
    path("v1/refunds/<str:refund_id>", views.RefundView.as_view()),
    path("v1/disputes", disputes.DisputeCollection.as_view()),
    path("v1/disputes/<str:dispute_id>", disputes.DisputeView.as_view()),
]
