"""Giving back: what was promised, to which tender it goes, and which part of the order it is for."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record, StatefulRecord
from orders.guard import checks_its_order
from orders.keeping import KeepsVersions


class RefundNotFound(NotFound):
    message = "No such refund in this environment."


class RefundStatus(models.TextChoices):
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


R = RefundStatus
UNSETTLED = (R.PENDING, R.REQUIRES_ACTION)


class Reason(models.TextChoices):
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer"
    DEFECTIVE_PRODUCT = "defective_product"
    WRONG_ITEM_SHIPPED = "wrong_item_shipped"
    NEVER_RECEIVED = "never_received"
    NOT_AS_DESCRIBED = "not_as_described"
    ARRIVED_TOO_LATE = "arrived_too_late"
    CUSTOMER_CHANGED_MIND = "customer_changed_mind"
    BETTER_PRICE_FOUND = "better_price_found"
    ACCIDENTAL_ORDER = "accidental_order"
    OTHER = "other"


class BalanceEffect(models.TextChoices):
    CREDIT = "credit"
    REOPEN = "reopen"


class RefundOrigin(models.TextChoices):
    """Where it was asked for: here, at the processor behind our back, or by the merchant's policy on surplus money."""

    FLINT = "flint"
    PROCESSOR = "processor"
    SURPLUS = "surplus"


class Handling(models.TextChoices):
    """What became of a refund that failed."""

    TRIED_AGAIN = "tried_again"
    PAID_OUTSIDE = "paid_outside"
    SET_ASIDE = "set_aside"


UNDONE = (R.FAILED, R.PARTIALLY_SUCCEEDED)
"""What staff have to deal with."""


class Refund(StatefulRecord):
    """
    Money promised back on an order, in minor units of ``currency``.

    ``surplus_amount`` is the part that gives back what was collected beyond what was owed; it lowers no debt. With
    effect ``reopen`` the buyer owes the rest again, otherwise it is credited. One of origin ``processor`` was found
    there and is on the work list until somebody has explained it. One that failed is on another list until somebody has
    dealt with it: ``handled_at``, how, and the refund that took its place, if any. One with a ``credit_note`` gives
    that note's credit back; ``command_key`` and ``command_digest`` are what it was asked for by.
    """

    missing = RefundNotFound

    id = PublicIdField(prefix="ref")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="refunds")
    status = fsm.FSMField(choices=R.choices, default=R.PENDING, protected=True)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    tip_amount = models.BigIntegerField(default=0)
    surplus_amount = models.BigIntegerField(default=0)
    balance_effect = models.CharField(max_length=8, choices=BalanceEffect.choices, default=BalanceEffect.CREDIT)
    origin = models.CharField(max_length=10, choices=RefundOrigin.choices, default=RefundOrigin.FLINT)
    explained_at = models.DateTimeField(null=True)
    handled_at = models.DateTimeField(null=True)
    handling = models.CharField(max_length=16, choices=Handling.choices, blank=True)
    tried_again_as = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="tried_again_for")
    reason = models.CharField(max_length=32, choices=Reason.choices, blank=True)
    reason_message = models.TextField(blank=True)
    failure_reason = models.CharField(max_length=40, blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict)
    credit_note = models.ForeignKey("invoices.CreditNote", on_delete=models.PROTECT, null=True, related_name="refunds")
    command_key = models.CharField(max_length=320, blank=True)
    command_digest = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount__gte=1, tip_amount__gte=0)),
            models.UniqueConstraint(
                name="refund_of_a_note_once_per_key",
                fields=["credit_note", "command_key"],
                condition=Q(credit_note__isnull=False) & ~Q(command_key=""),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="refund_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="refund_by_change"),
            models.Index(fields=["environment", "amount", "id"], name="refund_by_amount"),
            models.Index(
                fields=["environment", "id"],
                condition=Q(origin=RefundOrigin.PROCESSOR, explained_at__isnull=True),
                name="refund_to_explain",
            ),
            models.Index(
                fields=["environment", "id"],
                condition=Q(status__in=UNDONE, handled_at__isnull=True),
                name="refund_to_handle",
            ),
        ]
        triggers = [
            checks_its_order("refund_is_checked_with_its_order", function="flint_check_refunds"),
            pgtrigger.Protect(name="refund_is_never_deleted", operation=pgtrigger.Delete),
            KeepsVersions(name="refund_versions", only=("id", "environment_id", "order_id", "created_at")),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_unexplained(self) -> bool:
        """Whether it was found at the processor and nobody has said yet why."""
        return self.origin == RefundOrigin.PROCESSOR and self.explained_at is None

    @property
    def is_undone(self) -> bool:
        """Whether some of it failed and nobody has dealt with that."""
        return self.status in UNDONE and self.handled_at is None

    def handle(self, handling: str, *, at: datetime, tried_again_as: "Refund | None" = None) -> None:
        """Take it off the list of failed refunds."""
        self.handled_at, self.handling, self.tried_again_as = at, handling, tried_again_as

    @fsm.transition(field=status, source="*", target=fsm.GET_STATE(lambda self, status, **_: status, states=R.values))
    def become(self, status: str, *, failure_reason: str = "") -> None:
        """Take the status that follows from its legs."""
        self.failure_reason = failure_reason


class RefundLeg(StatefulRecord):
    """
    One call to a processor: so much of a refund, back through the payment that ``operation`` made. Its id is the
    processor's idempotency key.

    ``sent_at`` is set, and committed, before the call is made; ``answered_at`` when the outcome is first known. A
    refund found at the processor has a leg that is not sent from here, and another one, with the same ``reference``,
    for a part of it that could only be booked later. ``is_correction``: staff found it to be a correction of the
    payment, so that its allocations give back no part of the order any more. ``is_handled``: it failed, and
    somebody has dealt with that.
    """

    id = PublicIdField(prefix="rfl")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, related_name="legs")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="+")
    payment_intent = models.ForeignKey("payments.PaymentIntent", on_delete=models.PROTECT, related_name="refund_legs")
    operation = models.ForeignKey("payments.PaymentOperation", on_delete=models.PROTECT, related_name="refund_legs")
    position = models.IntegerField(default=0)
    status = fsm.FSMField(choices=R.choices, default=R.PENDING, protected=True)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    tip_amount = models.BigIntegerField(default=0)
    credit_amount = models.BigIntegerField(default=0)
    is_correction = models.BooleanField(default=False)
    is_handled = models.BooleanField(default=False)
    failure_reason = models.CharField(max_length=40, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    checks = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(name="refund_leg_amount_positive", condition=Q(amount__gte=1)),
            models.UniqueConstraint(
                name="refund_leg_once_per_reference",
                fields=["environment", "reference", "position"],
                condition=~Q(reference=""),
            ),
            models.CheckConstraint(
                name="refund_leg_correction_credits_nothing",
                condition=Q(is_correction=False) | Q(credit_amount=0, tip_amount=0),
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="refund_leg_to_check"
            ),
            models.Index(fields=["environment", "created_at"], name="refund_leg_by_time"),
        ]
        triggers = [
            checks_its_order("refund_leg_is_checked_with_its_order", function="flint_check_refunds"),
            pgtrigger.FSM(
                name="refund_leg_moves_forward",
                field="status",
                transitions=[
                    ("pending", "requires_action"),
                    ("pending", "succeeded"),
                    ("pending", "failed"),
                    ("pending", "canceled"),
                    ("requires_action", "succeeded"),
                    ("requires_action", "failed"),
                    ("requires_action", "canceled"),
                    ("succeeded", "failed"),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_unsettled(self) -> bool:
        return self.status in UNSETTLED

    @property
    def is_final(self) -> bool:
        """Whether nothing went back, for good."""
        return self.status in (R.FAILED, R.CANCELED)

    @fsm.transition(field=status, source=R.PENDING, target=R.REQUIRES_ACTION)
    def require_action(self) -> None:
        """Somebody must act before it can go on."""

    @fsm.transition(field=status, source=UNSETTLED, target=R.SUCCEEDED)
    def succeed(self) -> None:
        """The money is back with the customer."""

    @fsm.transition(field=status, source=(*UNSETTLED, R.SUCCEEDED), target=R.FAILED)
    def fail(self, *, reason: str) -> None:
        """Nothing went back, or it came back to us; this may be learned days after a success."""
        self.failure_reason = reason

    @fsm.transition(field=status, source=UNSETTLED, target=R.CANCELED)
    def cancel(self) -> None:
        """Stopped before it went out."""


class RefundAllocation(Record):
    """
    What a leg gives back of one part of the order: a line, a charge, a flat tax, or the tip when none is named.

    ``amount`` is what moves; subtotal, discount and tax are its composition. ``quantity`` counts whole units. One with
    an ``adjustment`` pays out what that had withheld of its line.
    """

    id = PublicIdField(prefix="rfa")
    leg = models.ForeignKey(RefundLeg, on_delete=models.PROTECT, related_name="allocations")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="+")
    line_item = models.ForeignKey("orders.LineItem", on_delete=models.PROTECT, null=True, related_name="+")
    charge = models.ForeignKey("orders.Charge", on_delete=models.PROTECT, null=True, related_name="+")
    tax_breakdown = models.ForeignKey("orders.TaxBreakdown", on_delete=models.PROTECT, null=True, related_name="+")
    adjustment = models.ForeignKey(
        "refunds.RefundAdjustment", on_delete=models.PROTECT, null=True, related_name="payouts"
    )
    position = models.IntegerField(default=0)
    quantity = models.BigIntegerField(default=0)
    amount = models.BigIntegerField()
    subtotal_amount = models.BigIntegerField(default=0)
    discount_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    inclusive_tax_amount = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["leg", "position"]
        constraints = [
            models.CheckConstraint(name="allocation_of_something", condition=Q(amount__gte=1) | Q(quantity__gte=1)),
            models.CheckConstraint(
                name="allocation_of_one_part",
                condition=Q(line_item__isnull=True, charge__isnull=True)
                | Q(line_item__isnull=True, tax_breakdown__isnull=True)
                | Q(charge__isnull=True, tax_breakdown__isnull=True),
            ),
            models.CheckConstraint(
                name="allocation_of_an_adjustment_is_on_a_line",
                condition=Q(adjustment__isnull=True) | Q(line_item__isnull=False),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="allocation_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            checks_its_order("allocation_is_checked_with_its_order", function="flint_check_refunds"),
        ]

    def __str__(self) -> str:
        return f"{self.amount}"
