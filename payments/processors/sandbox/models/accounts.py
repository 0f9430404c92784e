"""What the network knows of an environment: its secrets, the sources it was handed, and what it was asked."""

import base64
import secrets

from django.db import models
from django.utils import timezone


def new_webhook_secret() -> str:
    """Make a secret to sign notices with: 32 random bytes, written as text."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class SandboxAccount(models.Model):
    """
    What the network knows of one environment: its secrets, and how it is treated.

    ``allow_over_refund`` switches off the check of refunds against captures, ``pays_out_daily`` is whether what is
    available goes to the merchant's bank by itself.
    """

    environment_id = models.CharField(max_length=40, primary_key=True)
    webhook_secret = models.CharField(max_length=64, default=new_webhook_secret)
    previous_secret = models.CharField(max_length=64, blank=True, default="")
    allow_over_refund = models.BooleanField(default=False)
    pays_out_daily = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"sandbox account of {self.environment_id}"

    @property
    def secrets(self) -> list[str]:
        """The secrets that sign and are believed: the current one, and the one before it while it is rotated out."""
        return [secret for secret in (self.webhook_secret, self.previous_secret) if secret]


class SandboxToken(models.Model):
    """A payment source handed in by number. The number itself was never kept."""

    token = models.CharField(max_length=64, primary_key=True)
    environment_id = models.CharField(max_length=40)
    behaviour = models.CharField(max_length=64)
    brand = models.CharField(max_length=32, blank=True)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField(null=True)
    exp_year = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.token


class SandboxOperation(models.Model):
    """One call that was carried out, by the caller's own name for it. Forgotten after a day, as real networks do."""

    environment_id = models.CharField(max_length=40)
    operation_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    digest = models.CharField(max_length=64)
    reference = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="sandbox_operation_is_known_once", fields=["environment_id", "operation_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.operation_id}"
