"""What a customer has left with us to pay with, and how it came to be saved."""

from datetime import datetime
from typing import Self

import django_fsm as fsm
from django.db import models
from django.db.models import Q

from flint.actors import Actor
from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet, Record, StatefulRecord


class PaymentMethodNotFound(NotFound):
    message = "No such payment method in this environment."


class MethodStatus(models.TextChoices):
    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"
    REMOVED = "removed"
    FAILED = "failed"


M = MethodStatus


class Usage(models.TextChoices):
    OFF_SESSION = "off_session"
    ON_SESSION = "on_session"


class PaymentMethodQuerySet(EnvironmentQuerySet):
    """Payment methods. A buyer sees those of the customer that the checkout acts for, as long as they can be used."""

    def of(self, actor: Actor) -> Self:
        """Keep to what the actor may see: its environment, and for a buyer the active ones of its own customer."""
        rows = self.filter(environment_id=actor.environment_id)
        return rows.filter(customer_id=actor.customer_id, status=M.ACTIVE) if actor.is_buyer else rows


class PaymentMethod(StatefulRecord):
    """
    A card of a customer that may be charged again. What is kept is what a receipt shows.

    ``reference`` is the processor's token for it and ``customer_reference`` its name for the customer, where it has
    one; neither is ever shown. ``detach_at`` is when the processor is next told to forget a removed one; empty once it
    has.
    """

    missing = PaymentMethodNotFound
    objects = PaymentMethodQuerySet.as_manager()

    id = PublicIdField(prefix="pm")
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, related_name="payment_methods")
    type = models.CharField(max_length=12, default="card")
    status = fsm.FSMField(choices=M.choices, default=M.PENDING, protected=True)
    usage = models.CharField(max_length=12, choices=Usage.choices, default=Usage.OFF_SESSION)
    processor = models.CharField(max_length=32)
    reference = models.CharField(max_length=255, blank=True)
    customer_reference = models.CharField(max_length=255, blank=True)
    brand = models.CharField(max_length=20, blank=True)
    last4 = models.CharField(max_length=4, blank=True)
    exp_month = models.PositiveSmallIntegerField(null=True)
    exp_year = models.PositiveSmallIntegerField(null=True)
    detach_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="method_in_use_has_a_reference", condition=~Q(status=M.ACTIVE) | ~Q(reference="")
            ),
            models.UniqueConstraint(
                name="method_once_per_reference",
                fields=["environment", "processor", "reference"],
                condition=~Q(reference=""),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="method_by_time"),
            models.Index(fields=["exp_year", "exp_month"], condition=Q(status=M.ACTIVE), name="method_to_expire"),
            models.Index(fields=["detach_at"], condition=Q(detach_at__isnull=False), name="method_to_detach"),
        ]

    def __str__(self) -> str:
        return f"{self.brand or self.type} {self.last4}".strip()

    def has_run_out(self, at: datetime) -> bool:
        """Whether the card's last month is over."""
        return self.exp_year is not None and (self.exp_year, self.exp_month) < (at.year, at.month)

    @fsm.transition(field=status, source=(M.PENDING, M.FAILED), target=M.ACTIVE)
    def activate(self) -> None:
        """The processor keeps it; it may be charged."""

    @fsm.transition(field=status, source=M.PENDING, target=M.FAILED)
    def fail(self) -> None:
        """It was not saved."""

    @fsm.transition(field=status, source=M.ACTIVE, target=M.EXPIRED)
    def expire(self) -> None:
        """The card's last month is over."""

    @fsm.transition(field=status, source=(M.PENDING, M.ACTIVE, M.EXPIRED, M.FAILED), target=M.REMOVED)
    def remove(self, *, at: datetime) -> None:
        """Never charge it again, and have the processor forget it."""
        self.detach_at = at if self.reference else None


class PaymentMethodSetup(Record):
    """
    The call that saves a payment method: its id is the processor's idempotency key and stands in its metadata.

    ``reference`` is the processor's name for the setup. The browser's secret is not kept: the same call gives it again.
    ``next_check_at`` is when the sweep asks what became of it; empty once it has ended.
    """

    id = PublicIdField(prefix="pms")
    payment_method = models.OneToOneField("payments.PaymentMethod", on_delete=models.PROTECT, related_name="setup")
    reference = models.CharField(max_length=255, blank=True)
    result = models.CharField(max_length=32, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    command_key = models.CharField(max_length=255, blank=True)
    command_digest = models.CharField(max_length=64, blank=True)
    checks = models.IntegerField(default=0)
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="setup_once_per_reference", fields=["environment", "reference"], condition=~Q(reference="")
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="setup_to_check"),
            models.Index(fields=["environment", "command_key"], name="setup_by_command"),
        ]

    def __str__(self) -> str:
        return f"setup {self.id}"
