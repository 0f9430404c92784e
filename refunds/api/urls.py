"""Addresses of the refund and dispute operations."""

from django.urls import path

from refunds.api import credit_notes, disputes, views

urlpatterns = [
    path("v1/refunds", views.RefundCollection.as_view()),
    path("v1/refunds/<str:refund_id>", views.RefundView.as_view()),
    path("v1/credit-notes/<str:credit_note_id>/issue", credit_notes.CreditNoteIssue.as_view()),
    path("v1/credit-notes/<str:credit_note_id>/refunds", credit_notes.CreditNoteRefunds.as_view()),
    path("v1/disputes", disputes.DisputeCollection.as_view()),
    path("v1/disputes/<str:dispute_id>", disputes.DisputeView.as_view()),
]
