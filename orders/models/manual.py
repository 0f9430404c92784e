"""Money that came in outside any processor, as people recorded it."""

import pgtrigger
from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import Record
from orders.guard import checks_its_order


class ManualPayment(Record):
    """
    Money that somebody says was received, in cash or at the bank, or was not received after all (``is_reversal``).

    Append-only: a mistake is corrected by a reversal. ``amount`` in minor units of the order's currency, always
    positive. ``invoice_id`` is the invoice that it was recorded on, if any.
    """

    order_column = "order_id"

    id = PublicIdField(prefix="opm")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="manual_payments")
    invoice_id = models.CharField(max_length=40, blank=True)
    is_reversal = models.BooleanField(default=False)
    amount = models.BigIntegerField()
    received_at = models.DateTimeField()
    note = models.TextField(blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(name="manual_payment_of_something", condition=Q(amount__gt=0))]
        triggers = [
            pgtrigger.Protect(name="manual_payment_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            checks_its_order("manual_payment_is_checked_with_its_order"),
        ]

    def __str__(self) -> str:
        return f"{'reversal' if self.is_reversal else 'payment'} of {self.amount}"
