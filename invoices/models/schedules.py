"""An invoice that is paid in parts: how much of it is due when."""

from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import Record


class EntryKind(models.TextChoices):
    DEPOSIT = "deposit"
    INSTALLMENT = "installment"
    BALANCE = "balance"


class InvoiceScheduleEntry(Record):
    """
    One part of an invoice. ``total_amount`` is fixed at issue, in minor units; what was paid of it is not kept but
    filled up from what the order stands at, in the order of ``position`` (``invoices.schedules``).

    ``amount_specification`` and ``due`` are the contract's objects; ``due_at`` is when it is due, known from issue on.
    """

    order_column = "invoice__order_id"

    id = PublicIdField(prefix="ise")
    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.CASCADE, related_name="schedule_entries")
    position = models.IntegerField()
    kind = models.CharField(max_length=12, choices=EntryKind.choices)
    amount_specification = models.JSONField()
    due = models.JSONField()
    due_at = models.DateTimeField(null=True)
    total_amount = models.BigIntegerField(default=0)
    overdue_told_at = models.DateTimeField(null=True)
    late_fee_told_at = models.DateTimeField(null=True)
    autopay_tries = models.IntegerField(default=0)

    class Meta:
        ordering = ["invoice", "position"]
        verbose_name_plural = "invoice schedule entries"
        constraints = [
            # Deferred: a draft's entries are put into another order in one go.
            models.UniqueConstraint(
                fields=["invoice", "position"],
                name="entry_position_within_invoice",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(name="entry_of_an_invoice_not_negative", condition=Q(total_amount__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.position + 1}"
