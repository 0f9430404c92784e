"""What being late costs."""

from django.db import models
from django.db.models import F, Q

from flint.ids import PublicIdField
from flint.records import Record


class InvoiceLateFee(Record):
    """
    A late fee, assessed once per invoice or once per overdue entry. Amounts in minor units of the invoice's currency.

    The fee is a charge on the order like any other (``charge_id``), so that it is owed, paid, refunded and reported on
    the one balance; the frozen document does not know of it. To waive lowers the charge to what was paid of it.
    """

    order_column = "invoice__order_id"

    id = PublicIdField(prefix="ilf")
    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.PROTECT, related_name="late_fees")
    schedule_entry = models.ForeignKey(
        "invoices.InvoiceScheduleEntry", on_delete=models.PROTECT, null=True, related_name="late_fees"
    )
    charge_id = models.CharField(max_length=40)
    base_outstanding_amount = models.BigIntegerField()
    amount = models.BigIntegerField()
    waived_amount = models.BigIntegerField(default=0)
    written_off_amount = models.BigIntegerField(default=0)
    policy = models.JSONField()
    assessed_at = models.DateTimeField()
    waived_at = models.DateTimeField(null=True)
    waiver_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="late_fee_once_per_entry", fields=["invoice", "schedule_entry"], nulls_distinct=False
            ),
            models.CheckConstraint(
                name="late_fee_within_itself",
                condition=Q(amount__gte=1, waived_amount__gte=0, written_off_amount__gte=0)
                & Q(amount__gte=F("waived_amount") + F("written_off_amount")),
            ),
        ]

    def __str__(self) -> str:
        return f"late fee of {self.amount}"
