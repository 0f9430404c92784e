"""What the network keeps for the merchant, and what it paid out of that to the merchant's bank."""

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from flint.ids import PublicIdField
from payments.processors.sandbox.models.movements import SandboxMovement


class SandboxPayout(models.Model):
    """Money on its way to the merchant's bank. ``due_at`` is when it goes on by itself."""

    class Status(models.TextChoices):
        PENDING = "pending"
        IN_TRANSIT = "in_transit"
        PAID = "paid"
        FAILED = "failed"
        CANCELED = "canceled"

    reference = PublicIdField(prefix="sbo")
    environment_id = models.CharField(max_length=40)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    is_automatic = models.BooleanField()
    status = fsm.FSMField(max_length=16, choices=Status.choices, default=Status.PENDING, protected=True)
    arrives_at = models.DateTimeField()
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=255, blank=True)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(name="sandbox_payout_newest", fields=["environment_id", "-created_at", "-reference"]),
            models.Index(name="sandbox_payout_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="sandbox_payout_is_of_something", condition=Q(amount__gt=0)),
        ]

    def __str__(self) -> str:
        return self.reference

    @fsm.transition(field=status, source=Status.PENDING, target=Status.IN_TRANSIT)
    def send(self) -> None:
        """Hand the money to the banks; from now on it cannot be called back."""
        self.due_at = self.arrives_at

    @fsm.transition(field=status, source=Status.IN_TRANSIT, target=Status.PAID)
    def arrive(self) -> None:
        """Have the merchant's bank take the money."""
        self.due_at = None

    @fsm.transition(field=status, source=[Status.PENDING, Status.IN_TRANSIT, Status.PAID], target=Status.FAILED)
    def fail(self, *, code: str, message: str) -> None:
        """Have the money sent back, also days after it seemed to have arrived."""
        self.failure_code, self.failure_message = code, message
        self.due_at = None

    @fsm.transition(field=status, source=Status.PENDING, target=Status.CANCELED)
    def cancel(self) -> None:
        """Keep the money after all."""
        self.due_at = None


class SandboxBalanceTransaction(models.Model):
    """
    One movement of what the network keeps for the merchant: signed and gross, less its fee.

    It stays as it was booked, but for two things: it becomes available, and an automatic payout pays it out. What no
    automatic payout has settled, its own movement included, is what the balance consists of.
    """

    class Type(models.TextChoices):
        PAYMENT = "payment"
        REFUND = "refund"
        DISPUTE = "dispute"
        DISPUTE_REVERSAL = "dispute_reversal"
        PAYOUT = "payout"
        PAYOUT_FAILURE = "payout_failure"
        PAYOUT_CANCELLATION = "payout_cancellation"

    class Status(models.TextChoices):
        PENDING = "pending"
        AVAILABLE = "available"

    reference = PublicIdField(prefix="sbb")
    environment_id = models.CharField(max_length=40)
    type = models.CharField(max_length=32, choices=Type.choices)
    status = fsm.FSMField(max_length=16, choices=Status.choices, protected=True)
    amount = models.BigIntegerField()
    fee_amount = models.BigIntegerField(default=0)
    net_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    source_kind = models.CharField(max_length=16)
    source_reference = models.CharField(max_length=40)
    movement = models.OneToOneField(
        SandboxMovement, on_delete=models.PROTECT, null=True, related_name="balance_transaction"
    )
    settled_by = models.ForeignKey(SandboxPayout, on_delete=models.PROTECT, null=True, related_name="settled")
    description = models.CharField(max_length=255, blank=True)
    occurred_at = models.DateTimeField()
    available_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(name="sandbox_balance_newest", fields=["environment_id", "-occurred_at", "-reference"]),
            models.Index(name="sandbox_balance_pending", fields=["available_at"], condition=Q(status="pending")),
            models.Index(
                name="sandbox_balance_to_pay_out",
                fields=["available_at"],
                condition=Q(settled_by__isnull=True, status="available"),
            ),
            models.Index(
                name="sandbox_balance_unsettled",
                fields=["environment_id", "currency", "available_at"],
                condition=Q(settled_by__isnull=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="sandbox_balance_net_is_less_the_fee", condition=Q(net_amount=F("amount") - F("fee_amount"))
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="stays_as_it_was_booked", exclude=["status", "settled_by"]),
            pgtrigger.Protect(name="balance_is_only_added_to", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.net_amount} {self.currency}"
