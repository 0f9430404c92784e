"""Cards on their way to being kept."""

import secrets

import django_fsm as fsm
from django.db import models
from django.utils import timezone

from flint.ids import PublicIdField
from payments.processors.sandbox.models.accounts import SandboxToken


def new_setup_secret() -> str:
    """Make the secret that opens one setup's page."""
    return f"sbs_secret_{secrets.token_urlsafe(24)}"


class SandboxSetup(models.Model):
    """A card on its way to being kept for later. ``token`` is the kept card, once there is one."""

    class Status(models.TextChoices):
        REQUIRES_PAYMENT_METHOD = "requires_payment_method"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    reference = PublicIdField(prefix="sbs")
    environment_id = models.CharField(max_length=40)
    operation_id = models.CharField(max_length=64)
    payment_method_id = models.CharField(max_length=64)
    customer_id = models.CharField(max_length=64)
    status = fsm.FSMField(max_length=32, choices=Status.choices, default=Status.REQUIRES_PAYMENT_METHOD, protected=True)
    token = models.ForeignKey(SandboxToken, on_delete=models.SET_NULL, null=True, related_name="+")
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=255, blank=True)
    client_secret = models.CharField(max_length=64, unique=True, default=new_setup_secret)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.reference

    @fsm.transition(field=status, source=[Status.REQUIRES_PAYMENT_METHOD, Status.FAILED], target=Status.SUCCEEDED)
    def keep(self, token: SandboxToken) -> None:
        """Keep a card."""
        self.token = token
        self.error_code = self.error_message = ""

    @fsm.transition(field=status, source=[Status.REQUIRES_PAYMENT_METHOD, Status.FAILED], target=Status.FAILED)
    def decline(self, *, code: str, message: str) -> None:
        """Keep nothing, and say why; another card may do."""
        self.error_code, self.error_message = code, message
