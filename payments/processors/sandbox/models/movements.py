"""What truly moved."""

import pgtrigger
from django.db import models

from payments.processors.sandbox.models.disputes import SandboxDispute
from payments.processors.sandbox.models.payments import SandboxPayment, SandboxRefund


class SandboxMovement(models.Model):
    """What truly happened to money, in order. Only ever added to, so that effects can be counted."""

    class Kind(models.TextChoices):
        AUTHORIZATION = "authorization"
        CHARGE = "charge"
        RELEASE = "release"
        REFUND = "refund"
        REFUND_FAILED = "refund_failed"
        DISPUTE = "dispute"
        DISPUTE_REVERSAL = "dispute_reversal"

    environment_id = models.CharField(max_length=40)
    payment = models.ForeignKey(SandboxPayment, on_delete=models.PROTECT, related_name="movements")
    refund = models.ForeignKey(SandboxRefund, on_delete=models.PROTECT, null=True, related_name="movements")
    dispute = models.ForeignKey(SandboxDispute, on_delete=models.PROTECT, null=True, related_name="movements")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(name="sandbox_movement_by_env", fields=["environment_id", "id"])]
        triggers = [pgtrigger.Protect(name="only_ever_added_to", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"
