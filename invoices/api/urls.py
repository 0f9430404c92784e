"""The addresses of invoices and their payment terms."""

from django.urls import path

from invoices.api import documents, overdue, terms, views
from invoices.api.credit_notes import views as credit_notes

urlpatterns = [
    path("v1/invoices", views.InvoiceCollection.as_view()),
    path("v1/invoices/<str:invoice_id>", views.InvoiceView.as_view()),
    path("v1/invoices/<str:invoice_id>/issue", views.InvoiceIssue.as_view()),
    path("v1/invoices/<str:invoice_id>/pdf", documents.InvoicePdf.as_view()),
    path("v1/invoices/<str:invoice_id>/void", views.InvoiceVoid.as_view()),
    path("v1/invoices/<str:invoice_id>/mark-uncollectible", views.InvoiceWriteOff.as_view()),
    path("v1/invoices/<str:invoice_id>/manual-payments", views.ManualPayments.as_view()),
    path("v1/invoices/<str:invoice_id>/manual-payments/reverse", views.ManualReversals.as_view()),
    path("v1/invoices/<str:invoice_id>/late-fees", overdue.InvoiceLateFees.as_view()),
    path(
        "v1/invoices/<str:invoice_id>/late-fees/<str:invoice_late_fee_id>/waive",
        overdue.InvoiceLateFeeWaiver.as_view(),
    ),
    path("v1/invoices/<str:invoice_id>/send-reminder", overdue.InvoiceReminder.as_view()),
    path("v1/invoices/<str:invoice_id>/activities", views.InvoiceActivities.as_view()),
    path("v1/invoices/<str:invoice_id>/delivery-attempts", views.InvoiceDeliveries.as_view()),
    path("v1/invoice-payment-terms", terms.TermCollection.as_view()),
    path("v1/invoice-payment-terms/<str:invoice_payment_term_id>", terms.TermView.as_view()),
    path("v1/credit-notes", credit_notes.CreditNoteCollection.as_view()),
    path("v1/credit-notes/<str:credit_note_id>", credit_notes.CreditNoteView.as_view()),
    path("v1/credit-notes/<str:credit_note_id>/void", credit_notes.CreditNoteVoid.as_view()),
    path("v1/credit-notes/<str:credit_note_id>/pdf", credit_notes.CreditNotePdf.as_view()),
    path("v1/credit-notes/<str:credit_note_id>/allocations", credit_notes.AllocationCollection.as_view()),
    path(
        "v1/credit-notes/<str:credit_note_id>/allocations/<str:credit_note_allocation_id>",
        credit_notes.AllocationView.as_view(),
    ),
    path(
        "v1/credit-notes/<str:credit_note_id>/allocations/<str:credit_note_allocation_id>/reverse",
        credit_notes.AllocationReversal.as_view(),
    ),
]
