"""What an environment needs to collect through Stripe."""

from datetime import datetime
from urllib.parse import urlsplit

from django.db import models

from flint.sealing import SealedField, Secret

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class StripeAccount(models.Model):
    """
    An environment's keys at Stripe. Live environments hold live keys, sandboxes test keys; ``accounts.connect`` sees
    to that. After a rotation the previous webhook secret is believed until ``previous_until``.
    """

    environment = models.OneToOneField(
        "merchants.Environment", on_delete=models.PROTECT, primary_key=True, related_name="stripe_account"
    )
    secret_key = SealedField()
    publishable_key = models.CharField(max_length=255)
    webhook_secret = SealedField()
    previous_webhook_secret = SealedField(blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    connected_account_id = models.CharField(max_length=64, blank=True)
    api_base = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "Stripe account"

    def __str__(self) -> str:
        return f"Stripe of {self.environment_id}"

    @property
    def is_local(self) -> bool:
        """Whether a server on this machine stands in for Stripe."""
        return urlsplit(self.api_base).hostname in LOOPBACK

    def webhook_secrets(self, at: datetime) -> list[Secret]:
        """Return the secrets that may have signed a notice which arrives at that moment."""
        is_believed = bool(self.previous_webhook_secret) and self.previous_until and at < self.previous_until
        return [self.webhook_secret, self.previous_webhook_secret] if is_believed else [self.webhook_secret]
