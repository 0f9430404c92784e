"""The order: the one durable record of a sale, with the amounts of its lines and of its ledger."""

from datetime import datetime
from typing import Self

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from flint.actors import Actor
from flint.errors import NotFound
from flint.ids import PublicIdField, new_number
from flint.money import Money
from flint.records import EnvironmentQuerySet, StatefulRecord
from orders.guard import checks_its_order
from orders.keeping import KeepsVersions


class OrderNotFound(NotFound):
    code = "ORDER_NOT_FOUND"
    message = "No such order in this environment."


class Status(models.TextChoices):
    OPEN = "open"
    CLOSED = "closed"


class PaymentStatus(models.TextChoices):
    UNPAID = "unpaid"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"


class RefundStatus(models.TextChoices):
    NONE = "none"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class Origin(models.TextChoices):
    VIRTUAL_TERMINAL = "virtual_terminal"
    PAYMENT_LINK = "payment_link"
    CHECKOUT = "checkout"
    API = "api"
    SUBSCRIPTION = "subscription"


def payment_status_of(order: "Order", *args, **kwargs) -> str:
    """
    Say how far an order is paid.

    Unpaid while nothing that was collected is kept and something is owed, or while nothing was ever settled; paid once
    nothing is outstanding.
    """
    if not order.has_settled:
        return PaymentStatus.UNPAID
    if not order.outstanding_amount:
        return PaymentStatus.PAID
    return PaymentStatus.PARTIALLY_PAID if order.net_collected_amount else PaymentStatus.UNPAID


def refund_status_of(order: "Order", *args, **kwargs) -> str:
    """Say how much of what was paid has gone back."""
    if not order.refunded_amount:
        return RefundStatus.NONE
    return RefundStatus.REFUNDED if order.refunded_amount >= order.paid_amount else RefundStatus.PARTIALLY_REFUNDED


# The same conditions in the database's words, for the constraints below.
SOMETHING_KEPT = Q(paid_amount__gt=F("refunded_amount") + F("charged_back_amount"))
NOTHING_OWED = Q(
    total_amount__lte=F("credit_amount") + F("paid_amount") - F("refunded_amount") - F("charged_back_amount")
)
OVER_COLLECTED = Q(
    total_amount__lt=F("credit_amount") + F("paid_amount") - F("refunded_amount") - F("charged_back_amount")
)

_reassess_payment = fsm.GET_STATE(payment_status_of, states=PaymentStatus.values)
_reassess_refund = fsm.GET_STATE(refund_status_of, states=RefundStatus.values)


class OrderQuerySet(EnvironmentQuerySet):
    """Orders. An API key never sees the hidden ones; staff, processors and Flint itself do."""

    def of(self, actor: Actor) -> Self:
        """Keep to what the actor may see: for a key, what was sold by an order of its own making."""
        rows = self.behind(actor)
        return rows.filter(is_hidden=False) if actor.kind == "key" else rows

    def behind(self, actor: Actor) -> Self:
        """Keep to the actor's environment, hidden orders included: for who comes from a payment and not by an id."""
        return super().of(actor)


class Order(StatefulRecord):
    """
    What a customer owes a merchant, and all that was paid and given back against it. All amounts in minor units.

    A payment that a merchant takes without an order has one too, ``is_hidden``: the record of all money is an order.
    Pricing amounts are the sums of its parts, settlement amounts the folds of its ledger; the database refuses a commit
    where they differ. ``balance = (total - credit) - (paid - refunded - charged back)``.

    ``invoice_id`` is the invoice last issued for it and not voided. While that one asks for money,
    ``is_under_invoice``, it alone is collected through, and what it bills stays as it is.
    """

    missing = OrderNotFound
    order_column = "id"
    objects = OrderQuerySet.as_manager()

    id = PublicIdField(prefix="ord")
    order_number = models.CharField(max_length=16, default=new_number, editable=False)
    order_revision = models.BigIntegerField(default=1)
    status = fsm.FSMField(choices=Status.choices, default=Status.OPEN, protected=True)
    payment_status = fsm.FSMField(choices=PaymentStatus.choices, default=PaymentStatus.UNPAID, protected=True)
    refund_status = fsm.FSMField(choices=RefundStatus.choices, default=RefundStatus.NONE, protected=True)
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.API)
    is_hidden = models.BooleanField(default=False)
    currency = models.CharField(max_length=3)

    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="orders")
    contact_email = models.CharField(max_length=255, blank=True)
    contact_phone = models.CharField(max_length=32, blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    buyer_note = models.TextField(blank=True)
    internal_note = models.TextField(blank=True)
    metadata = models.JSONField(default=dict)
    closed_at = models.DateTimeField(null=True)
    closed_reason = models.TextField(blank=True)

    tax_enabled = models.BooleanField(default=True)
    tip_id = models.CharField(max_length=40, blank=True)
    tip_requested_amount = models.BigIntegerField(null=True)
    tip_percent = models.IntegerField(null=True)
    tip_name = models.CharField(max_length=255, blank=True)
    tip_description = models.TextField(blank=True)
    tip_metadata = models.JSONField(default=dict)

    subtotal_amount = models.BigIntegerField(default=0)
    discount_amount = models.BigIntegerField(default=0)
    charge_amount = models.BigIntegerField(default=0)
    tip_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    inclusive_tax_amount = models.BigIntegerField(default=0)
    total_amount = models.BigIntegerField(default=0)

    has_settled = models.BooleanField(default=False)
    settled_revision = models.BigIntegerField(default=0)
    paid_amount = models.BigIntegerField(default=0)
    refund_pending_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)
    credit_amount = models.BigIntegerField(default=0)
    charged_back_amount = models.BigIntegerField(default=0)
    settled_tip_amount = models.BigIntegerField(default=0)
    tip_refund_pending_amount = models.BigIntegerField(default=0)
    tip_refunded_amount = models.BigIntegerField(default=0)

    is_collection_blocked = models.BooleanField(default=False)
    invoice_id = models.CharField(max_length=40, blank=True)
    is_under_invoice = models.BooleanField(default=False)
    active_attempt_id = models.CharField(max_length=40, blank=True)
    event_count = models.IntegerField(default=0)
    entry_count = models.IntegerField(default=0)

    told_balance_amount = 0
    """The balance that the last event told; kept in memory from the moment the row is read."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "order_number"], name="order_number_once"),
            models.CheckConstraint(
                name="order_amounts_not_negative",
                condition=Q(
                    subtotal_amount__gte=0,
                    discount_amount__gte=0,
                    charge_amount__gte=0,
                    tip_amount__gte=0,
                    tax_amount__gte=0,
                    inclusive_tax_amount__gte=0,
                    total_amount__gte=0,
                    paid_amount__gte=0,
                    refund_pending_amount__gte=0,
                    refunded_amount__gte=0,
                    credit_amount__gte=0,
                    charged_back_amount__gte=0,
                ),
            ),
            models.CheckConstraint(
                name="order_total_is_its_terms",
                condition=Q(
                    total_amount=F("subtotal_amount")
                    - F("discount_amount")
                    + F("charge_amount")
                    + F("tip_amount")
                    + F("tax_amount")
                    - F("inclusive_tax_amount")
                ),
            ),
            models.CheckConstraint(
                name="order_gives_back_at_most_what_was_paid",
                condition=Q(
                    paid_amount__gte=F("refunded_amount") + F("refund_pending_amount") + F("charged_back_amount")
                ),
            ),
            models.CheckConstraint(
                name="order_payment_status_follows_amounts",
                condition=Q(has_settled=False, payment_status="unpaid")
                | Q(NOTHING_OWED, has_settled=True, payment_status="paid")
                | Q(~NOTHING_OWED, SOMETHING_KEPT, has_settled=True, payment_status="partially_paid")
                | Q(~NOTHING_OWED, ~SOMETHING_KEPT, has_settled=True, payment_status="unpaid"),
            ),
            models.CheckConstraint(
                name="order_refund_status_follows_amounts",
                condition=Q(refunded_amount=0, refund_status="none")
                | Q(refunded_amount__gt=0, refunded_amount__gte=F("paid_amount"), refund_status="refunded")
                | Q(refunded_amount__gt=0, refunded_amount__lt=F("paid_amount"), refund_status="partially_refunded"),
            ),
            models.CheckConstraint(
                name="order_tip_settled_within_tip",
                condition=Q(
                    settled_tip_amount__lte=F("tip_amount"),
                    settled_tip_amount__gte=F("tip_refunded_amount") + F("tip_refund_pending_amount"),
                ),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="order_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="order_by_change"),
            models.Index(fields=["environment", "total_amount", "id"], name="order_by_total"),
            models.Index(fields=["environment", "external_reference_id"], name="order_by_reference"),
            models.Index(fields=["environment", "customer", "created_at"], name="order_by_customer"),
            models.Index(Upper("contact_email"), name="order_by_contact"),
            models.Index(fields=["environment", "id"], condition=OVER_COLLECTED, name="order_over_collected"),
        ]
        triggers = [
            pgtrigger.FSM(name="order_status_moves_forward", field="status", transitions=[("open", "closed")]),
            pgtrigger.Protect(name="order_is_never_deleted", operation=pgtrigger.Delete),
            checks_its_order("order_is_checked_at_commit", column="id"),
            KeepsVersions(name="order_versions", order="kept.id"),
        ]

    def __str__(self) -> str:
        return self.order_number

    @classmethod
    def from_db(cls, db, field_names, values):
        order = super().from_db(db, field_names, values)
        if "paid_amount" in order.__dict__ and "total_amount" in order.__dict__:
            order.told_balance_amount = order.balance_amount
        return order

    # Derived amounts, in minor units. The one place that knows the formulas.

    @property
    def net_collected_amount(self) -> int:
        """Paid and kept: what was given back and what disputes took away no longer counts."""
        return self.paid_amount - self.refunded_amount - self.charged_back_amount

    @property
    def balance_amount(self) -> int:
        """What the order stands at: positive is owed to us, negative was collected beyond what is owed."""
        return self.total_amount - self.credit_amount - self.net_collected_amount

    @property
    def outstanding_amount(self) -> int:
        """What may still be collected."""
        return max(self.balance_amount, 0)

    @property
    def refundable_amount(self) -> int:
        """What may still be given back, promises already made included."""
        return self.net_collected_amount - self.refund_pending_amount

    @property
    def refundable_money(self) -> Money:
        return self.money(self.refundable_amount)

    @property
    def outstanding_money(self) -> Money:
        return self.money(self.outstanding_amount)

    def money(self, amount: int) -> Money:
        """Give an amount of this order its currency."""
        return Money(amount, self.currency)

    @property
    def is_collecting(self) -> bool:
        """Whether a payment attempt is open, so that nothing about the amounts may change."""
        return bool(self.active_attempt_id)

    def is_not_collecting(self) -> bool:
        return not self.is_collecting

    # Transitions. Each changes fields of this row, amounts and statuses together, and nothing else.

    @fsm.transition(field=status, source=Status.OPEN, target=Status.CLOSED, conditions=[is_not_collecting])
    def close(self, *, at: datetime, reason: str, written_off: Money) -> None:
        """End the sale; what is still owed is written off, so that a closed order owes nothing."""
        self.is_collection_blocked = False
        self.closed_at = at
        self.closed_reason = reason
        self.credit(written_off)

    @fsm.transition(field=payment_status, target=_reassess_payment)
    def reprice(self, **amounts: int) -> None:
        """Take the pricing amounts, by column name, that its parts now sum to."""
        for column, amount in amounts.items():
            setattr(self, column, amount)

    @fsm.transition(field=refund_status, target=_reassess_refund)
    def settle(self, money: Money, *, tip_amount: int = 0) -> None:
        """Count money as paid, on both statuses. ``tip_amount`` is the part of it that is tip."""
        self.has_settled = True
        self.settled_revision = self.order_revision
        self.paid_amount += money.amount
        self.settled_tip_amount += tip_amount
        self.reprice()

    @fsm.transition(field=payment_status, target=_reassess_payment)
    def credit(self, money: Money) -> None:
        """No longer ask for this part of the total: goods came back, or it was written off."""
        self.credit_amount += money.amount

    @fsm.transition(field=refund_status, target=_reassess_refund)
    def unsettle(self, money: Money) -> None:
        """Undo :meth:`settle` for money that was recorded by hand: it was not received after all."""
        self.paid_amount -= money.amount
        self.reprice()

    def bill(self, invoice_id: str, *, is_open: bool) -> None:
        """Name the invoice that bills the order, and whether it still asks for money."""
        self.invoice_id = invoice_id
        self.is_under_invoice = is_open

    def promise_back(self, money: Money, *, tip_amount: int = 0) -> None:
        """Reserve money that a refund is to give back; it counts against every cap from now on."""
        self.refund_pending_amount += money.amount
        self.tip_refund_pending_amount += tip_amount

    def release_promise(self, money: Money, *, tip_amount: int = 0) -> None:
        """Free what a refund had reserved, because it failed or because it is done."""
        self.refund_pending_amount -= money.amount
        self.tip_refund_pending_amount -= tip_amount

    @fsm.transition(field=refund_status, target=_reassess_refund)
    def give_back(self, money: Money, *, credit: Money, tip_amount: int = 0) -> None:
        """Count money as given back, and ``credit`` of it as no longer owed."""
        self.refunded_amount += money.amount
        self.tip_refunded_amount += tip_amount
        self.credit(credit)

    @fsm.transition(field=refund_status, target=_reassess_refund)
    def take_back(self, money: Money, *, credit: Money, tip_amount: int = 0) -> None:
        """Undo :meth:`give_back`: the refund failed after it had been reported done."""
        self.refunded_amount -= money.amount
        self.tip_refunded_amount -= tip_amount
        self.credit(-credit)

    @fsm.transition(field=payment_status, target=_reassess_payment)
    def charge_back(self, money: Money) -> None:
        """Count money as taken away by a dispute, or below zero as given back to us: what it paid is owed again."""
        self.charged_back_amount += money.amount

    def block_collection(self, is_blocked: bool) -> None:
        """Say whether staff must first decide what becomes of a debt that a dispute left."""
        self.is_collection_blocked = is_blocked
