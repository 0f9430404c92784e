"""Addresses of the payment operations."""

from django.urls import path

from payments.api import intents, views

_intent = "v1/orders/<str:order_id>/payment-intents"
_attempts = "v1/orders/<str:order_id>/payment-attempts"
_alone = "v1/payment-intents"

urlpatterns = [
    path("v1/orders/<str:order_id>/pay", views.PayView.as_view()),
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
]
