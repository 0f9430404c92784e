"""Asking a customer for what an order still owes."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import EnvironmentQuerySet, StatefulRecord
from flint.sealing import SealedField
from orders.guard import checks_its_order


class InvoiceNotFound(NotFound):
    code = "INVOICE_NOT_FOUND"
    message = "No such invoice in this environment."


class InvoiceStatus(models.TextChoices):
    DRAFT = "draft"
    OPEN = "open"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    CREDITED = "credited"


S = InvoiceStatus
ASKING = (S.OPEN, S.PARTIALLY_PAID)
"""While an invoice asks for money."""
ACTIVE = (S.DRAFT, *ASKING)
"""Not done with: a further invoice of the order has to wait."""
STANDING = (*ASKING, S.PAID, S.CREDITED, S.UNCOLLECTIBLE)
"""Issued and not voided: a document that bills a part of its order for good."""
FOLLOWING = (*ASKING, S.PAID, S.CREDITED)
"""Whose status follows from what the order stands at."""


class CollectionMode(models.TextChoices):
    BUYER_INITIATED = "buyer_initiated"
    AUTOMATIC = "automatic"
    EXTERNAL = "external"


class DeliveryMode(models.TextChoices):
    EMAIL = "email"
    CALLER_MANAGED = "caller_managed"


class InvoiceQuerySet(EnvironmentQuerySet):
    """Invoices. A buyer of an order sees those of its own order."""


class Invoice(StatefulRecord):
    """
    A document that asks for what one order still owes, frozen when it is issued.

    It keeps no balance: what was paid, credited and given back, and what is outstanding, is read from its order
    (``invoices.amounts``). ``total_amount`` is what it bills, in minor units: the order's total at issue less what
    earlier invoices of the order bill. The ``base_*`` amounts are what the order stood at then that belongs to those
    earlier ones, all zero on a first invoice; ``paid_before_amount`` is what had been paid of this one already.
    ``status`` follows the order while it stands; the database refuses a commit
    where the two disagree. ``snapshot`` and ``terms_snapshot`` are the contract's objects, as they were frozen.
    """

    missing = InvoiceNotFound
    order_column = "order_id"
    objects = InvoiceQuerySet.as_manager()

    id = PublicIdField(prefix="inv")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="invoices")
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="invoices")
    status = fsm.FSMField(choices=S.choices, default=S.DRAFT, protected=True)
    version = models.BigIntegerField(default=1)
    currency = models.CharField(max_length=3)

    # The document's number: ``sequence`` counts, ``number`` is what is printed, prefix included.
    number = models.CharField(max_length=40, blank=True)
    sequence = models.BigIntegerField(null=True)

    recipient_email = models.CharField(max_length=255, blank=True)
    cc_emails = ArrayField(models.CharField(max_length=255), default=list)
    language = models.CharField(max_length=16, blank=True)
    delivery_mode = models.CharField(max_length=16, choices=DeliveryMode.choices, blank=True)

    # What the caller chose; resolved into the columns after it, at each write of the draft and once more at issue.
    payment_due = models.JSONField(default=dict)
    collection_choice = models.CharField(max_length=20, default="merchant_default")
    collection_mode = models.CharField(
        max_length=16, choices=CollectionMode.choices, default=CollectionMode.BUYER_INITIATED
    )
    payment_method_id = models.CharField(max_length=40, blank=True)
    payment_policy = models.JSONField(null=True)
    payment_term = models.ForeignKey(
        "invoices.InvoicePaymentTerm", on_delete=models.PROTECT, null=True, related_name="invoices"
    )
    timezone = models.CharField(max_length=64, default="UTC")
    due_at = models.DateTimeField(null=True)

    scheduled_send_at = models.DateTimeField(null=True)
    service_at = models.DateTimeField(null=True)
    memo = models.TextField(blank=True)
    footer = models.TextField(blank=True)
    po_number = models.CharField(max_length=255, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    remit_to_address = models.JSONField(null=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict)

    # Frozen at issue.
    issued_at = models.DateTimeField(null=True)
    total_amount = models.BigIntegerField(default=0)
    paid_before_amount = models.BigIntegerField(default=0)
    base_paid_amount = models.BigIntegerField(default=0)
    base_credit_amount = models.BigIntegerField(default=0)
    base_refunded_amount = models.BigIntegerField(default=0)
    base_charged_back_amount = models.BigIntegerField(default=0)
    snapshot = models.JSONField(null=True)
    terms_snapshot = models.JSONField(null=True)

    written_off_amount = models.BigIntegerField(default=0)
    paid_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)
    uncollectible_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    viewed_at = models.DateTimeField(null=True)
    reminders_paused_at = models.DateTimeField(null=True)

    # The buyer's link, known again by its digest; a new generation makes the old link and what came of it worthless.
    link_secret = SealedField(default="")
    link_digest = models.CharField(max_length=64, blank=True, editable=False)
    link_retired_digests = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    link_generation = models.IntegerField(default=0)
    # The link as it was at issue, which the document shows as a QR code and so never changes there.
    document_link = SealedField(default="")

    # The clock: when something is next due for it, and what has been told already.
    next_action_at = models.DateTimeField(null=True)
    overdue_told_for = models.DateTimeField(null=True)
    late_fee_told_for = models.DateTimeField(null=True)
    # Reminders up to here were sent, or were not to be.
    reminded_until = models.DateTimeField(null=True)
    autopay_tries = models.IntegerField(default=0)
    issue_error = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            # A draft beside one that asks only comes about when an earlier one asks again: by a dispute, say.
            models.UniqueConstraint(name="invoice_one_draft_per_order", fields=["order"], condition=Q(status="draft")),
            models.UniqueConstraint(
                name="invoice_one_asking_per_order", fields=["order"], condition=Q(status__in=[str(s) for s in ASKING])
            ),
            models.UniqueConstraint(
                name="invoice_sequence_once",
                fields=["environment", "sequence"],
                condition=Q(sequence__isnull=False),
            ),
            models.UniqueConstraint(
                name="invoice_number_once", fields=["environment", "number"], condition=~Q(number="")
            ),
            models.UniqueConstraint(name="invoice_link_once", fields=["link_digest"], condition=~Q(link_digest="")),
            models.CheckConstraint(
                name="invoice_is_numbered_iff_it_was_issued",
                condition=Q(issued_at__isnull=True, sequence__isnull=True, number="", snapshot__isnull=True)
                | (Q(issued_at__isnull=False, sequence__isnull=False, snapshot__isnull=False) & ~Q(number="")),
            ),
            models.CheckConstraint(
                name="invoice_is_issued_before_it_asks",
                condition=Q(status__in=["draft", "void"]) | Q(issued_at__isnull=False),
            ),
            models.CheckConstraint(
                name="invoice_amounts_not_negative",
                condition=Q(
                    total_amount__gte=0,
                    paid_before_amount__gte=0,
                    base_paid_amount__gte=0,
                    base_credit_amount__gte=0,
                    base_refunded_amount__gte=0,
                    base_charged_back_amount__gte=0,
                    written_off_amount__gte=0,
                ),
            ),
            models.CheckConstraint(name="invoice_version_counts_from_one", condition=Q(version__gte=1)),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="invoice_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="invoice_by_change"),
            models.Index(fields=["environment", "due_at", "id"], name="invoice_by_due"),
            models.Index(fields=["environment", "external_reference_id"], name="invoice_by_reference"),
            models.Index(fields=["environment", "customer", "created_at"], name="invoice_by_customer"),
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="invoice_to_act"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="invoice_status_moves_as_it_may",
                field="status",
                transitions=[
                    ("draft", "open"),
                    ("draft", "partially_paid"),
                    ("draft", "void"),
                    *((a, b) for a in FOLLOWING for b in FOLLOWING if a != b),
                    ("open", "void"),
                    ("partially_paid", "void"),
                    ("open", "uncollectible"),
                    ("partially_paid", "uncollectible"),
                ],
            ),
            pgtrigger.Protect(name="invoice_is_never_deleted", operation=pgtrigger.Delete),
            checks_its_order("invoice_is_checked_with_its_order", function="flint_check_invoices"),
            pgtrigger.Trigger(
                name="invoice_is_frozen_once_issued",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF OLD.issued_at IS NOT NULL AND (
                        (NEW.order_id, NEW.environment_id, NEW.currency, NEW.number, NEW.sequence, NEW.issued_at,
                         NEW.total_amount, NEW.paid_before_amount, NEW.base_paid_amount, NEW.base_credit_amount,
                         NEW.base_refunded_amount, NEW.base_charged_back_amount, NEW.snapshot, NEW.terms_snapshot,
                         NEW.due_at, NEW.timezone, NEW.document_link)
                        IS DISTINCT FROM
                        (OLD.order_id, OLD.environment_id, OLD.currency, OLD.number, OLD.sequence, OLD.issued_at,
                         OLD.total_amount, OLD.paid_before_amount, OLD.base_paid_amount, OLD.base_credit_amount,
                         OLD.base_refunded_amount, OLD.base_charged_back_amount, OLD.snapshot, OLD.terms_snapshot,
                         OLD.due_at, OLD.timezone, OLD.document_link)
                    ) THEN
                        RAISE EXCEPTION 'flint guard: invoice % was issued and stays as it is', OLD.number
                            USING ERRCODE = 'integrity_constraint_violation',
                                  CONSTRAINT = 'invoice_is_frozen_once_issued';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.number or "Draft"

    @property
    def is_asking(self) -> bool:
        """Whether it asks for money now."""
        return self.status in ASKING

    @property
    def is_standing(self) -> bool:
        """Whether it was issued and not voided."""
        return self.status in STANDING

    def money(self, amount: int) -> Money:
        """Give an amount of this invoice its currency."""
        return Money(amount, self.currency)

    # Transitions. Each changes fields of this row and nothing else.

    @fsm.transition(
        field=status, source=S.DRAFT, target=fsm.GET_STATE(lambda self, status, **_: status, states=list(ASKING))
    )
    def issue(self, status: str, *, at: datetime) -> None:
        """Become a document that asks; what it says was frozen just before."""
        self.issued_at = at
        self.scheduled_send_at = None

    @fsm.transition(
        field=status,
        source=list(FOLLOWING),
        target=fsm.GET_STATE(lambda self, status, **_: status, states=list(FOLLOWING)),
    )
    def follow(self, status: str, *, at: datetime) -> None:
        """Take the status that the order's amounts give it."""
        self.paid_at = (self.paid_at or at) if status == S.PAID else None
        self.closed_at = None if status in ASKING else (self.closed_at or at)

    @fsm.transition(field=status, source=[S.DRAFT, *ASKING], target=S.VOID)
    def void(self, *, at: datetime) -> None:
        """Take it back; its number stays its own."""
        self.voided_at = self.closed_at = at
        self.scheduled_send_at = self.next_action_at = None

    @fsm.transition(field=status, source=list(ASKING), target=S.UNCOLLECTIBLE)
    def write_off(self, money: Money, *, at: datetime) -> None:
        """Give up what is left of it."""
        self.written_off_amount = money.amount
        self.uncollectible_at = self.closed_at = at
        self.next_action_at = None
