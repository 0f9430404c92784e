"""Correcting an issued invoice."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record, StatefulRecord


class CreditNoteNotFound(NotFound):
    message = "No such credit note in this environment."


class CreditNoteAllocationNotFound(NotFound):
    message = "No such allocation of this credit note."


class CreditNoteStatus(models.TextChoices):
    DRAFT = "draft"
    ISSUED = "issued"
    VOID = "void"


N = CreditNoteStatus


class CreditNoteReason(models.TextChoices):
    RETURNED_GOODS = "returned_goods"
    ORDER_ADJUSTMENT = "order_adjustment"
    BILLING_ERROR = "billing_error"
    GOODWILL = "goodwill"
    OTHER = "other"


class CreditNote(StatefulRecord):
    """
    A document that takes back a part of an invoice, frozen when it is issued. Amounts in minor units.

    Issuing moves nothing. An allocation lowers what the order owes; a refund through it gives money back. What of it is
    used is summed from its allocations and refunds; it keeps no balance.
    """

    missing = CreditNoteNotFound
    order_column = "order_id"

    id = PublicIdField(prefix="cn")
    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.PROTECT, related_name="credit_notes")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="credit_notes")
    status = fsm.FSMField(choices=N.choices, default=N.DRAFT, protected=True)
    version = models.BigIntegerField(default=1)
    currency = models.CharField(max_length=3)
    number = models.CharField(max_length=40, blank=True)
    sequence = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=20, choices=CreditNoteReason.choices)
    memo = models.TextField(blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    total_amount = models.BigIntegerField(default=0)
    snapshot = models.JSONField(null=True)
    issued_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="credit_note_sequence_once",
                fields=["environment", "sequence"],
                condition=Q(sequence__isnull=False),
            ),
            models.UniqueConstraint(
                name="credit_note_number_once", fields=["environment", "number"], condition=~Q(number="")
            ),
            models.CheckConstraint(
                name="credit_note_is_numbered_iff_it_was_issued",
                condition=Q(status="draft", issued_at__isnull=True, sequence__isnull=True, number="")
                | (~Q(status="draft") & Q(issued_at__isnull=False, sequence__isnull=False) & ~Q(number="")),
            ),
            models.CheckConstraint(name="credit_note_total_not_negative", condition=Q(total_amount__gte=0)),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="credit_note_by_time"),
            models.Index(fields=["environment", "external_reference_id"], name="credit_note_by_reference"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="credit_note_status_moves_forward",
                field="status",
                transitions=[("draft", "issued"), ("issued", "void")],
            ),
            pgtrigger.Protect(name="credit_note_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="credit_note_is_frozen_once_issued",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF OLD.issued_at IS NOT NULL AND (
                        (NEW.invoice_id, NEW.order_id, NEW.environment_id, NEW.currency, NEW.number, NEW.sequence,
                         NEW.issued_at, NEW.total_amount, NEW.reason, NEW.memo, NEW.snapshot)
                        IS DISTINCT FROM
                        (OLD.invoice_id, OLD.order_id, OLD.environment_id, OLD.currency, OLD.number, OLD.sequence,
                         OLD.issued_at, OLD.total_amount, OLD.reason, OLD.memo, OLD.snapshot)
                    ) THEN
                        RAISE EXCEPTION 'flint guard: credit note % was issued and stays as it is', OLD.number
                            USING ERRCODE = 'integrity_constraint_violation',
                                  CONSTRAINT = 'credit_note_is_frozen_once_issued';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.number or "Draft"

    def money(self, amount: int) -> Money:
        """Give an amount of this note its currency."""
        return Money(amount, self.currency)

    @fsm.transition(field=status, source=N.DRAFT, target=N.ISSUED)
    def issue(self, *, at: datetime) -> None:
        """Become a document; what it says was frozen just before."""
        self.issued_at = at

    @fsm.transition(field=status, source=N.ISSUED, target=N.VOID)
    def void(self, *, at: datetime) -> None:
        """Take it back; its number stays its own."""
        self.voided_at = at


class CreditNoteLine(Record):
    """What a note takes back of one line of its invoice: units or an amount, with its shares of discount and tax."""

    order_column = "note__order_id"

    id = PublicIdField(prefix="cnl")
    note = models.ForeignKey(CreditNote, on_delete=models.CASCADE, related_name="lines")
    position = models.IntegerField()
    invoice_line_item_id = models.CharField(max_length=40)
    description = models.CharField(max_length=255)
    correction = models.JSONField()
    quantity = models.BigIntegerField(null=True)
    subtotal_amount = models.BigIntegerField()
    discount_amount = models.BigIntegerField()
    tax_amount = models.BigIntegerField()
    total_amount = models.BigIntegerField()

    class Meta:
        ordering = ["note", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["note", "position"], name="note_line_position", deferrable=models.Deferrable.DEFERRED
            ),
            models.CheckConstraint(
                name="note_line_not_negative",
                condition=Q(subtotal_amount__gte=0, discount_amount__gte=0, tax_amount__gte=0, total_amount__gte=0),
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="note_line_is_frozen_with_its_note",
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                when=pgtrigger.Before,
                func="""
                    IF EXISTS (
                        SELECT FROM invoices_creditnote
                        WHERE id = to_jsonb(COALESCE(OLD, NEW)) ->> 'note_id' AND issued_at IS NOT NULL
                    ) THEN
                        RAISE EXCEPTION 'flint guard: a line of an issued credit note stays as it is'
                            USING ERRCODE = 'integrity_constraint_violation',
                                  CONSTRAINT = 'note_line_is_frozen_with_its_note';
                    END IF;
                    RETURN COALESCE(NEW, OLD);
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.description


class CreditNoteAllocation(Record):
    """
    Credit of a note applied to its invoice's order, or taken off again.

    ``idempotency_key`` is its identity within the note. Append-only but for its one reversal.
    """

    missing = CreditNoteAllocationNotFound
    order_column = "note__order_id"

    id = PublicIdField(prefix="cna")
    note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, related_name="allocations")
    amount = models.BigIntegerField()
    idempotency_key = models.CharField(max_length=320)
    command_digest = models.CharField(max_length=64)
    allocated_at = models.DateTimeField()
    reversed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["note", "idempotency_key"], name="allocation_once_per_key"),
            models.CheckConstraint(name="credit_allocation_of_something", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="allocation_is_reversed_after_it_was_made",
                condition=Q(reversed_at__isnull=True) | Q(reversed_at__gte=F("allocated_at")),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="allocation_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="allocation_keeps_its_amount",
                operation=pgtrigger.UpdateOf("amount", "note_id", "allocated_at", "idempotency_key"),
            ),
            pgtrigger.Protect(
                name="allocation_is_reversed_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__reversed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.note_id}"
