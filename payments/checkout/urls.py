"""Addresses of the hosted page."""

from django.urls import path

from payments.checkout import link_views, views
from payments.checkout.invoices import views as invoices

urlpatterns = [
    path("checkout/<str:session_id>", views.show, name="checkout"),
    path("checkout/<str:session_id>/pay", views.pay, name="checkout_pay"),
    path("checkout/<str:session_id>/tip", views.tip, name="checkout_tip"),
    path("checkout/<str:session_id>/contact", views.contact, name="checkout_contact"),
    path("checkout/<str:session_id>/code", views.ask_for_code, name="checkout_ask_for_code"),
    path("checkout/<str:session_id>/code/<str:verification_id>", views.take_code, name="checkout_take_code"),
    path("checkout/<str:session_id>/forget", views.forget, name="checkout_forget"),
    path("checkout/<str:session_id>/stop", views.stop, name="checkout_stop"),
    path("checkout/<str:session_id>/state", views.state, name="checkout_state"),
    path("checkout/<str:session_id>/theme.css", views.theme, name="checkout_theme"),
    path("checkout/<str:session_id>/return", views.back, name="checkout_return"),
    path("checkout/<str:session_id>/<str:launch_secret>", views.launch, name="checkout_launch"),
    path("invoices/<str:invoice_id>", invoices.show, name="invoice"),
    path("invoices/<str:invoice_id>/pay", invoices.pay, name="invoice_pay"),
    path("invoices/<str:invoice_id>/state", invoices.state, name="invoice_state"),
    path("invoices/<str:invoice_id>/pdf", invoices.pdf, name="invoice_pdf"),
    path("invoices/<str:invoice_id>/theme.css", invoices.theme, name="invoice_theme"),
    path(
        "invoices/<str:invoice_id>/credit-notes/<str:credit_note_id>/pdf",
        invoices.credit_note_pdf,
        name="invoice_credit_note_pdf",
    ),
    path("invoices/<str:invoice_id>/<str:secret>", invoices.launch, name="invoice_launch"),
    path("payment-returns/<str:session_id>", views.relay, name="payment_return"),
    path("l/<str:short>", link_views.payment_link, name="payment_link"),
    path("l/<str:short>/qr.svg", link_views.qr_code, name="payment_link_qr"),
    path("l/<str:short>/theme.css", link_views.link_theme, name="payment_link_theme"),
    path("o/<str:token>", link_views.pay_link, name="pay_link"),
]
