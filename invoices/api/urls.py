"""The addresses of invoices and their payment terms."""

from django.urls import path

from invoices.api import terms, views

urlpatterns = [
    path("v1/invoices", views.InvoiceCollection.as_view()),
    path("v1/invoices/<str:invoice_id>", views.InvoiceView.as_view()),
    path("v1/invoices/<str:invoice_id>/issue", views.InvoiceIssue.as_view()),
    path("v1/invoice-payment-terms", terms.TermCollection.as_view()),
    path("v1/invoice-payment-terms/<str:invoice_payment_term_id>", terms.TermView.as_view()),
]
