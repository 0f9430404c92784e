"""Stripe's place among the installed apps."""

from django.apps import AppConfig


class StripeConfig(AppConfig):
    """The keys of each environment's Stripe account, and the adapter that uses them."""

    name = "payments.processors.stripe"
    label = "stripe_processor"
    verbose_name = "Stripe"
    default_auto_field = "django.db.models.BigAutoField"
