"""
The sandbox network's own books: accounts, payments, refunds, tokens, what truly moved, and what it still has to tell.

These are another company's tables that happen to live in the same database. Environments, intents and orders are
plain ids here, as they would be in a real processor's metadata, and no foreign key leaves the app.
"""

import base64
import secrets
from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from flint.ids import PublicIdField


def new_webhook_secret() -> str:
    """Make a secret to sign notices with: 32 random bytes, written as text."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def new_client_secret() -> str:
    """Make the secret that opens one payment's 3-D Secure page."""
    return f"sbp_secret_{secrets.token_urlsafe(24)}"


def new_setup_secret() -> str:
    """Make the secret that opens one setup's page."""
    return f"sbs_secret_{secrets.token_urlsafe(24)}"


class SandboxAccount(models.Model):
    """What the network knows of one environment: its secrets, and whether it checks refunds against captures."""

    environment_id = models.CharField(max_length=40, primary_key=True)
    webhook_secret = models.CharField(max_length=64, default=new_webhook_secret)
    previous_secret = models.CharField(max_length=64, blank=True, default="")
    allow_over_refund = models.BooleanField(default=False)
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


class SandboxPayment(models.Model):
    """One payment at the network. ``due_outcome`` is what happens to it by itself at ``due_at``."""

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
    due_at = models.DateTimeField(null=True)
    due_outcome = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
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


class SandboxMovement(models.Model):
    """What truly happened to money, in order. Only ever added to, so that effects can be counted."""

    class Kind(models.TextChoices):
        AUTHORIZATION = "authorization"
        CHARGE = "charge"
        RELEASE = "release"
        REFUND = "refund"
        REFUND_FAILED = "refund_failed"

    environment_id = models.CharField(max_length=40)
    payment = models.ForeignKey(SandboxPayment, on_delete=models.PROTECT, related_name="movements")
    refund = models.ForeignKey(SandboxRefund, on_delete=models.PROTECT, null=True, related_name="movements")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(name="sandbox_movement_by_env", fields=["environment_id", "id"])]
        triggers = [pgtrigger.Protect(name="only_ever_added_to", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class SandboxNotice(models.Model):
    """Something to tell the merchant's server, and how far we got. ``next_at`` is empty when there is no next try."""

    id = PublicIdField(prefix="sbn")
    environment_id = models.CharField(max_length=40)
    type = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=40)
    snapshot = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(null=True, default=timezone.now)
    delivered_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    is_disturbed = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                name="sandbox_notice_waiting",
                fields=["next_at"],
                condition=Q(delivered_at__isnull=True, next_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.reference}"


class SandboxFault(models.Model):
    """A misfortune planned for an environment. ``remaining`` is empty for one that stays until it is cleared."""

    class On(models.TextChoices):
        CONFIRM = "confirm"
        CAPTURE = "capture"
        CANCEL = "cancel"
        REFUND = "refund"
        RETRIEVE = "retrieve"
        SETUP = "setup"
        NOTICE = "notice"

    class Fault(models.TextChoices):
        LOSE_ANSWER = "lose_answer"
        NEVER_EXECUTED = "never_executed"
        REFUSE = "refuse"
        UNREACHABLE = "unreachable"
        DELAY = "delay"
        DUPLICATE = "duplicate"
        REORDER = "reorder"
        DROP = "drop"

    environment_id = models.CharField(max_length=40)
    on = models.CharField(max_length=16, choices=On.choices)
    fault = models.CharField(max_length=16, choices=Fault.choices)
    options = models.JSONField(default=dict)
    remaining = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(name="sandbox_fault_by_env", fields=["environment_id", "on"])]

    def __str__(self) -> str:
        return f"{self.fault} on {self.on}"
