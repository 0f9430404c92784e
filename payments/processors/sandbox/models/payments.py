"""Payments at the network, and what was given back of them."""

import secrets
from datetime import datetime

import django_fsm as fsm
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from flint.ids import PublicIdField


def new_client_secret() -> str:
    """Make the secret that opens one payment's 3-D Secure page."""
    return f"sbp_secret_{secrets.token_urlsafe(24)}"


class SandboxPayment(models.Model):
    """
    One payment at the network. ``due_outcome`` is what happens to it by itself at ``due_at``.

    ``keep_for`` is the customer for whom the card is kept once it has paid, ``kept_token`` the kept card.
    """

    class Status(models.TextChoices):
        REQUIRES_PAYMENT_METHOD = "requires_payment_method"
        REQUIRES_ACTION = "requires_action"
        PROCESSING = "processing"
        REQUIRES_CAPTURE = "requires_capture"
        SUCCEEDED = "succeeded"
        CANCELED = "canceled"

    reference = PublicIdField(prefix="sbp")
    environment_id = models.CharField(max_length=40)
    operation_id = models.CharField(max_length=64, blank=True)
    payment_intent_id = models.CharField(max_length=64, blank=True)
    order_id = models.CharField(max_length=64, blank=True)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    capture_method = models.CharField(max_length=16, choices=[("automatic", "automatic"), ("manual", "manual")])
    status = fsm.FSMField(max_length=32, choices=Status.choices, default=Status.REQUIRES_PAYMENT_METHOD, protected=True)
    authorized_amount = models.BigIntegerField(default=0)
    captured_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)
    authorization_expires_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=255, blank=True)
    cancellation_reason = models.CharField(max_length=64, blank=True)
    behaviour = models.CharField(max_length=64)
    source_type = models.CharField(max_length=16)
    brand = models.CharField(max_length=32, blank=True)
    last4 = models.CharField(max_length=4, blank=True)
    bank_name = models.CharField(max_length=64, blank=True)
    account_type = models.CharField(max_length=16, blank=True)
    client_secret = models.CharField(max_length=64, unique=True, default=new_client_secret)
    return_url = models.TextField(blank=True)
    exp_month = models.PositiveSmallIntegerField(null=True)
    exp_year = models.PositiveSmallIntegerField(null=True)
    keep_for = models.CharField(max_length=64, blank=True)
    kept_token = models.CharField(max_length=64, blank=True)
    due_at = models.DateTimeField(null=True)
    due_outcome = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(name="sandbox_payment_newest", fields=["environment_id", "-created_at", "-reference"]),
            models.Index(name="sandbox_payment_by_operation", fields=["environment_id", "operation_id"]),
            models.Index(name="sandbox_payment_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="sandbox_payment_is_of_something", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="sandbox_payment_takes_at_most_what_it_holds",
                condition=Q(captured_amount__gte=0)
                & Q(authorized_amount__gte=F("captured_amount"))
                & Q(amount__gte=F("authorized_amount")),
            ),
            models.CheckConstraint(name="sandbox_payment_gives_back_no_less", condition=Q(refunded_amount__gte=0)),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def refundable_amount(self) -> int:
        """What was taken and neither given back nor promised back."""
        return self.captured_amount - self.refunded_amount

    def is_held(self, at: datetime) -> bool:
        """Tell whether a hold can still be captured at that moment."""
        return self.status == self.Status.REQUIRES_CAPTURE and at < self.authorization_expires_at

    def expect(self, outcome: str, at: datetime | None) -> None:
        """Set what happens by itself, and when; with no time, nothing does."""
        self.due_outcome, self.due_at = outcome, at

    @fsm.transition(field=status, source=Status.REQUIRES_PAYMENT_METHOD, target=Status.REQUIRES_ACTION)
    def ask_buyer(self) -> None:
        """Wait for the buyer to authenticate."""

    @fsm.transition(field=status, source=Status.REQUIRES_PAYMENT_METHOD, target=Status.PROCESSING)
    def start_debit(self, *, outcome: str, at: datetime | None) -> None:
        """Set a slow rail going."""
        self.expect(outcome, at)

    @fsm.transition(
        field=status,
        source=[Status.REQUIRES_PAYMENT_METHOD, Status.REQUIRES_ACTION],
        target=Status.REQUIRES_CAPTURE,
    )
    def hold(self, *, amount: int, until: datetime) -> None:
        """Set money aside for a while."""
        self.authorized_amount = amount
        self.authorization_expires_at = until
        self.expect("authorization_expired", until)

    @fsm.transition(
        field=status,
        source=[
            Status.REQUIRES_PAYMENT_METHOD,
            Status.REQUIRES_ACTION,
            Status.PROCESSING,
            Status.REQUIRES_CAPTURE,
        ],
        target=Status.SUCCEEDED,
    )
    def take(self, *, amount: int) -> None:
        """Take money, of the hold if there is one."""
        self.authorized_amount = self.authorized_amount or amount
        self.captured_amount = amount
        self.error_code = self.error_message = ""
        self.expect("", None)

    @fsm.transition(
        field=status,
        source=[Status.REQUIRES_PAYMENT_METHOD, Status.REQUIRES_ACTION, Status.PROCESSING],
        target=Status.REQUIRES_PAYMENT_METHOD,
    )
    def decline(self, *, code: str, message: str) -> None:
        """Take nothing, and say why."""
        self.error_code, self.error_message = code, message
        self.expect("", None)

    @fsm.transition(
        field=status,
        source=[Status.REQUIRES_PAYMENT_METHOD, Status.REQUIRES_ACTION, Status.REQUIRES_CAPTURE],
        target=Status.CANCELED,
    )
    def let_go(self, *, reason: str) -> None:
        """Give up the payment, and the hold if there is one."""
        self.cancellation_reason = reason
        self.expect("", None)


class SandboxRefund(models.Model):
    """Money on its way back, or back. ``operation_id`` is empty when nobody asked us over the interface."""

    class Status(models.TextChoices):
        PENDING = "pending"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    reference = PublicIdField(prefix="sbr")
    environment_id = models.CharField(max_length=40)
    payment = models.ForeignKey(SandboxPayment, on_delete=models.PROTECT, related_name="refunds")
    operation_id = models.CharField(max_length=64, blank=True)
    refund_id = models.CharField(max_length=64, blank=True)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=64, blank=True)
    status = fsm.FSMField(max_length=16, choices=Status.choices, default=Status.PENDING, protected=True)
    failure_reason = models.CharField(max_length=64, blank=True)
    due_at = models.DateTimeField(null=True)
    due_outcome = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(name="sandbox_refund_newest", fields=["environment_id", "-created_at", "-reference"]),
            models.Index(name="sandbox_refund_by_operation", fields=["environment_id", "operation_id"]),
            models.Index(name="sandbox_refund_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="sandbox_refund_is_of_something", condition=Q(amount__gt=0)),
        ]

    def __str__(self) -> str:
        return self.reference

    def expect(self, outcome: str, at: datetime | None) -> None:
        """Set what happens by itself, and when; with no time, nothing does."""
        self.due_outcome, self.due_at = outcome, at

    @fsm.transition(field=status, source=Status.PENDING, target=Status.SUCCEEDED)
    def succeed(self) -> None:
        """Hand the money to the buyer's bank."""
        self.expect("", None)

    @fsm.transition(field=status, source=[Status.PENDING, Status.SUCCEEDED], target=Status.FAILED)
    def fail(self, *, reason: str) -> None:
        """Learn that the money did not arrive and came back."""
        self.failure_reason = reason
        self.expect("", None)
