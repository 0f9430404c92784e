"""Addresses of the payment operations."""

from django.urls import path

from payments.api import balances, intents, methods, receipts, views
from payments.api.invoices import buyers
from payments.api.invoices import views as invoices
from payments.api.links import views as links
from payments.api.sessions import verifications
from payments.api.sessions import views as sessions

_intent = "v1/orders/<str:order_id>/payment-intents"
_attempts = "v1/orders/<str:order_id>/payment-attempts"
_alone = "v1/payment-intents"
_methods = "v1/payment-methods"

_sessions = "v1/checkout-sessions"
_verifications = f"{_sessions}/<str:checkout_session_id>/customer-verifications"
_links = "v1/payment-links"
_invoice = "v1/invoices/<str:invoice_id>"
_mine = "v1/me/invoices/<str:invoice_id>"

urlpatterns = [
    path("v1/orders/<str:order_id>/pay", views.PayView.as_view()),
    path("v1/orders/<str:order_id>/send-receipt", receipts.ReceiptSending.as_view()),
    path(_intent, views.OrderPaymentIntentCollection.as_view()),
    path(f"{_intent}/<str:payment_intent_id>/capture", views.CaptureView.as_view()),
    path(f"{_intent}/<str:payment_intent_id>/cancel", views.CancelIntentView.as_view()),
    path(_attempts, views.AttemptCollection.as_view()),
    path(f"{_attempts}/<str:order_payment_attempt_id>", views.AttemptView.as_view()),
    path(f"{_attempts}/<str:order_payment_attempt_id>/cancel", views.CancelAttemptView.as_view()),
    path(_alone, intents.IntentCollection.as_view()),
    path(f"{_alone}/<str:payment_intent_id>", intents.IntentView.as_view()),
    path(f"{_alone}/<str:payment_intent_id>/confirm", intents.IntentConfirmation.as_view()),
    path(f"{_alone}/<str:payment_intent_id>/capture", intents.IntentCapture.as_view()),
    path(f"{_alone}/<str:payment_intent_id>/cancel", intents.IntentCancellation.as_view()),
    path(_sessions, sessions.SessionCollection.as_view()),
    path(f"{_sessions}/<str:checkout_session_id>", sessions.SessionView.as_view()),
    path(f"{_sessions}/<str:checkout_session_id>/close", sessions.SessionClosing.as_view()),
    path(_verifications, verifications.VerificationCollection.as_view()),
    path(
        f"{_verifications}/<str:customer_verification_id>/confirm",
        verifications.VerificationConfirmation.as_view(),
    ),
    path("v1/orders/<str:order_id>/pay-link", links.OrderPayLink.as_view()),
    path(_links, links.LinkCollection.as_view()),
    path(f"{_links}/<str:payment_link_id>", links.LinkView.as_view()),
    path(f"{_links}/<str:payment_link_id>/public", links.PublicLinkView.as_view()),
    path(f"{_links}/<str:payment_link_id>/resolve", links.LinkResolution.as_view()),
    path(f"{_invoice}/checkout-session", invoices.InvoiceCheckout.as_view()),
    path(f"{_invoice}/collect", invoices.InvoiceCollecting.as_view()),
    path(f"{_invoice}/regenerate-public-link", invoices.InvoiceLinkRegeneration.as_view()),
    path(f"{_invoice}/payment-attempts", invoices.InvoiceAttemptCollection.as_view()),
    path(f"{_invoice}/payment-attempts/<str:invoice_payment_attempt_id>", invoices.InvoiceAttemptView.as_view()),
    path(
        f"{_invoice}/payment-attempts/<str:invoice_payment_attempt_id>/cancel",
        invoices.InvoiceAttemptCancellation.as_view(),
    ),
    path(_mine, buyers.BuyerInvoiceView.as_view()),
    path(f"{_mine}/checkout-session", buyers.BuyerInvoiceCheckout.as_view()),
    path(f"{_mine}/pdf", buyers.BuyerInvoicePdf.as_view()),
    path(f"{_mine}/credit-notes", buyers.BuyerCreditNoteCollection.as_view()),
    path(f"{_mine}/credit-notes/<str:credit_note_id>", buyers.BuyerCreditNoteView.as_view()),
    path(f"{_mine}/credit-notes/<str:credit_note_id>/pdf", buyers.BuyerCreditNotePdf.as_view()),
    path(_methods, methods.MethodCollection.as_view()),
    path(f"{_methods}/<str:payment_method_id>", methods.MethodView.as_view()),
    path(f"{_methods}/<str:payment_method_id>/set-default", methods.MethodDefault.as_view()),
    path("v1/balances", balances.BalanceCollection.as_view()),
    path("v1/balance-transactions", balances.BalanceTransactionCollection.as_view()),
    path("v1/balance-transactions/<str:balance_transaction_id>", balances.BalanceTransactionView.as_view()),
    path("v1/payouts", balances.PayoutCollection.as_view()),
    path("v1/payouts/<str:payout_id>", balances.PayoutView.as_view()),
    path("v1/payouts/<str:payout_id>/entries", balances.PayoutEntryCollection.as_view()),
]
