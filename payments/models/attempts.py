"""One try to pay an order with its legs."""

from datetime import datetime
from typing import Self

import django_fsm as fsm
from django.db import models
from django.db.models import Q

from flint.actors import Actor
from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import EnvironmentQuerySet, StatefulRecord
from orders.guard import checks_its_order
from orders.keeping import KeepsVersions


class PaymentAttemptNotFound(NotFound):
    message = "No such payment attempt on this order."


class AttemptStatus(models.TextChoices):
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    REQUIRES_RETRY = "requires_retry"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


A = AttemptStatus
OPEN = (A.PROCESSING, A.REQUIRES_ACTION, A.REQUIRES_CAPTURE, A.REQUIRES_RETRY, A.FINALIZING)


SHOWN_ON_ORDER = [
    "id",
    "environment_id",
    "order_id",
    "mode",
    "status",
    "expected_outstanding_amount",
    "currency",
    "failure_code",
    "failure_message",
    "completed_at",
    "created_at",
]
"""The columns that an order's answer is made of."""


class Mode(models.TextChoices):
    PAYMENT = "payment"
    SETTLEMENT = "settlement"


class CompletionBehavior(models.TextChoices):
    COMPLETE_ORDER = "complete_order"
    PARTIAL_PAYMENT = "partial_payment"


class PaymentAttemptQuerySet(EnvironmentQuerySet):
    """Attempts. A buyer sees those that its own checkout session began."""

    def of(self, actor: Actor) -> Self:
        """Keep to what the actor may see."""
        rows = super().of(actor)
        return rows.filter(checkout_session_id=actor.id) if actor.is_buyer else rows


class PaymentAttempt(StatefulRecord):
    """
    A try to pay an order. At most one is open per order, by constraint.

    ``customer`` is whom its buyer acted for, if they had shown or were known to be one.
    ``command_key`` is the idempotency key of the request that began it: a repeat finds this attempt and resumes it.
    ``next_check_at`` is when the sweep asks the processor again.
    """

    missing = PaymentAttemptNotFound
    order_column = "order_id"
    objects = PaymentAttemptQuerySet.as_manager()

    id = PublicIdField(prefix="opa")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="payment_attempts")
    invoice = models.ForeignKey(
        "invoices.Invoice", on_delete=models.PROTECT, null=True, related_name="payment_attempts"
    )
    invoice_schedule_entry = models.ForeignKey(
        "invoices.InvoiceScheduleEntry", on_delete=models.PROTECT, null=True, related_name="+"
    )
    checkout_session = models.ForeignKey(
        "payments.CheckoutSession", on_delete=models.PROTECT, null=True, related_name="payment_attempts"
    )
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="+")
    mode = models.CharField(max_length=12, choices=Mode.choices, default=Mode.PAYMENT)
    status = fsm.FSMField(choices=A.choices, default=A.PROCESSING, protected=True)
    completion_behavior = models.CharField(max_length=16, choices=CompletionBehavior.choices)
    expected_outstanding_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    command_key = models.CharField(max_length=320, blank=True)
    command_digest = models.CharField(max_length=64, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.TextField(blank=True)
    completed_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    checks = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="attempt_one_open_per_order", fields=["order"], condition=Q(status__in=[s.value for s in OPEN])
            ),
            models.UniqueConstraint(
                name="attempt_once_per_command", fields=["order", "command_key"], condition=~Q(command_key="")
            ),
        ]
        triggers = [
            checks_its_order("attempt_is_checked_with_its_order", function="flint_check_payments"),
            KeepsVersions(name="attempt_versions", only=SHOWN_ON_ORDER),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="attempt_to_check")
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def expected_outstanding_money(self) -> Money:
        return Money(self.expected_outstanding_amount, self.currency)

    @fsm.transition(field=status, source="*", target=fsm.GET_STATE(lambda self, status, **_: status, states=A.values))
    def become(self, status: str, *, at: datetime, failure_code: str = "", failure_message: str = "") -> None:
        """Take the status that follows from its legs; an end is dated, and a success wipes an earlier failure."""
        self.failure_code, self.failure_message = failure_code, failure_message
        self.completed_at = None if status in OPEN else at
        if status not in OPEN:
            self.next_check_at = None
