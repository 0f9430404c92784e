"""The balance that a processor keeps for a merchant: each movement of it, and what was paid out to the bank."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record, StatefulRecord


class BalanceTransactionNotFound(NotFound):
    code = "BALANCE_TRANSACTION_NOT_FOUND"
    message = "No such balance transaction in this environment."


class PayoutNotFound(NotFound):
    code = "PAYOUT_NOT_FOUND"
    message = "No such payout in this environment."


class MovementType(models.TextChoices):
    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    PAYOUT = "payout"
    PAYOUT_FAILURE = "payout_failure"
    PAYOUT_CANCELLATION = "payout_cancellation"
    PAYOUT_REVERSAL = "payout_reversal"
    RESERVE_HOLD = "reserve_hold"
    RESERVE_RELEASE = "reserve_release"
    ADJUSTMENT = "adjustment"


class MovementStatus(models.TextChoices):
    PENDING = "pending"
    AVAILABLE = "available"


class PayoutStatus(models.TextChoices):
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


P = PayoutStatus
PAYOUT_MOVES = {
    P.PENDING: (P.IN_TRANSIT, P.PAID, P.FAILED, P.CANCELED),
    P.IN_TRANSIT: (P.PAID, P.FAILED, P.CANCELED),
    P.PAID: (P.FAILED,),
}
"""How a payout goes on. A bank may send back days later what had been reported paid."""


class ReversalStatus(models.TextChoices):
    NONE = "none"
    REVERSING = "reversing"
    REVERSED = "reversed"


class InitiatedBy(models.TextChoices):
    MANUAL = "manual"
    SCHEDULED = "scheduled"


class Payout(StatefulRecord):
    """
    Money on its way from the processor to the merchant's bank; an amount below zero was collected from the bank.

    ``made_at`` is when the processor made it. ``entries_complete_at`` is set once the movements that it paid out are
    all known and sum up to its amount. ``next_check_at`` is when the processor is asked about it again.
    """

    missing = PayoutNotFound

    id = PublicIdField(prefix="po")
    processor = models.CharField(max_length=32)
    reference = models.CharField(max_length=255)
    status = fsm.FSMField(choices=P.choices, default=P.PENDING, protected=True)
    reversal_status = fsm.FSMField(choices=ReversalStatus.choices, default=ReversalStatus.NONE, protected=True)
    initiated_by = models.CharField(max_length=9, choices=InitiatedBy.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    description = models.TextField(blank=True)
    made_at = models.DateTimeField()
    arrives_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.TextField(blank=True)
    entries_complete_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="payout_once", fields=["environment", "processor", "reference"]),
            models.CheckConstraint(name="payout_moves_something", condition=~Q(amount=0)),
        ]
        indexes = [
            models.Index(fields=["environment", "made_at", "id"], name="payout_by_time"),
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="payout_to_check"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="payout_moves_forward",
                field="status",
                transitions=[(str(old), str(new)) for old, targets in PAYOUT_MOVES.items() for new in targets],
            ),
            pgtrigger.Protect(name="payout_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="payout_is_never_rewritten", fields=["environment", "processor", "amount", "currency"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_automatic(self) -> bool:
        """Whether the processor made it by itself, and so can say which movements it paid out."""
        return self.initiated_by == InitiatedBy.SCHEDULED

    def can_become(self, status: str) -> bool:
        """Whether a status lies ahead; what lies behind is old news."""
        return status in PAYOUT_MOVES.get(self.status, ())

    @fsm.transition(field=status, source=P.PENDING, target=P.IN_TRANSIT)
    def send(self) -> None:
        """It left for the bank."""

    @fsm.transition(field=status, source=(P.PENDING, P.IN_TRANSIT), target=P.PAID)
    def pay(self, *, at: datetime) -> None:
        """The bank has it."""
        self.paid_at = at

    @fsm.transition(field=status, source=(P.PENDING, P.IN_TRANSIT, P.PAID), target=P.FAILED)
    def fail(self, *, code: str, message: str, at: datetime) -> None:
        """The bank would not take it, or sent it back."""
        self.failure_code, self.failure_message, self.failed_at = code or "payout_failed", message, at

    @fsm.transition(field=status, source=(P.PENDING, P.IN_TRANSIT), target=P.CANCELED)
    def cancel(self) -> None:
        """It was called back before it left."""

    @fsm.transition(field=reversal_status, source="*", target=ReversalStatus.REVERSED)
    def reverse(self) -> None:
        """The money was fetched back from the bank."""


class BalanceTransaction(StatefulRecord):
    """
    One movement of the balance that the processor keeps, in signed minor units of the balance's ``currency``.

    ``source_kind`` and ``source_reference`` are what the processor names behind it; ``related_type`` and
    ``related_id`` what that is here, once known. ``payout`` is the payout that paid it out.

    ``booked_at`` is when the ledger took it in. ``adjustment_amount`` is the part of ``amount`` that no row of ours
    accounts for and that was posted as an adjustment; with it the ledger's processor account equals the balance.
    ``is_explained`` tells that nothing about it is left to find out. ``looked_at`` is when that was last tried.
    """

    missing = BalanceTransactionNotFound

    id = PublicIdField(prefix="btx")
    processor = models.CharField(max_length=32)
    reference = models.CharField(max_length=255)
    type = models.CharField(max_length=20, choices=MovementType.choices)
    status = fsm.FSMField(choices=MovementStatus.choices, default=MovementStatus.PENDING, protected=True)
    amount = models.BigIntegerField()
    fee_amount = models.BigIntegerField()
    net_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    occurred_at = models.DateTimeField()
    available_at = models.DateTimeField(null=True)
    source_kind = models.CharField(max_length=16, blank=True)
    source_reference = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    related_type = models.CharField(max_length=16, blank=True)
    related_id = models.CharField(max_length=40, blank=True)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="balance_transactions")
    payment_intent = models.ForeignKey(
        "payments.PaymentIntent", on_delete=models.PROTECT, null=True, related_name="balance_transactions"
    )
    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, null=True, related_name="entries")
    adjustment_amount = models.BigIntegerField(default=0)
    is_explained = models.BooleanField(default=False)
    booked_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="movement_once", fields=["environment", "processor", "reference"]),
            models.CheckConstraint(
                name="movement_net_is_amount_less_fee", condition=Q(net_amount=F("amount") - F("fee_amount"))
            ),
            models.CheckConstraint(
                name="movement_explained_is_booked", condition=Q(is_explained=False) | Q(booked_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "occurred_at", "id"], name="movement_by_time"),
            models.Index(fields=["environment", "related_id"], name="movement_by_related"),
            models.Index(
                fields=["environment", "looked_at"], condition=Q(is_explained=False), name="movement_to_explain"
            ),
            models.Index(fields=["environment", "occurred_at"], condition=Q(status="pending"), name="movement_pending"),
        ]
        triggers = [
            pgtrigger.FSM(name="movement_moves_forward", field="status", transitions=[("pending", "available")]),
            pgtrigger.Protect(name="movement_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="movement_is_never_rewritten",
                fields=[
                    "environment",
                    "processor",
                    "reference",
                    "type",
                    "amount",
                    "fee_amount",
                    "net_amount",
                    "currency",
                    "occurred_at",
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.money}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def fee_money(self) -> Money:
        return Money(self.fee_amount, self.currency)

    @property
    def net_money(self) -> Money:
        return Money(self.net_amount, self.currency)

    @fsm.transition(field=status, source=MovementStatus.PENDING, target=MovementStatus.AVAILABLE)
    def become_available(self) -> None:
        """It may be paid out from now on."""


class BalanceSync(Record):
    """
    How far the movements of an environment's balance are known: everything made before ``synced_until``.

    ``next_at`` is when they are asked for again; ``last_error`` why that did not work the last time.
    """

    id = PublicIdField(prefix="bsy")
    processor = models.CharField(max_length=32)
    synced_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="balance_sync_once", fields=["environment", "processor"]),
        ]
        indexes = [models.Index(fields=["next_at"], name="balance_sync_due")]

    def __str__(self) -> str:
        return f"{self.processor} until {self.synced_until}"
