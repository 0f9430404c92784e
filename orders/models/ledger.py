"""The ledger's table. Rows are written by ``orders.ledger`` and by nobody else."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from flint.ids import PublicIdField
from flint.money import Money
from flint.records import EnvironmentQuerySet
from orders.guard import checks_its_order
from orders.models.periods import refuses_closed_periods


class LedgerEntry(models.Model):
    """
    One movement between two accounts of one order: ``amount`` minor units, always positive, from credit to debit.

    Append-only. ``source`` is the row that the movement comes from; one source moves a kind once. ``sequence`` counts
    within the order without gaps. What no order can be named for, such as a payout, has neither order nor number.
    It is dated as the event that caused it, so that a fact never falls into two periods.
    """

    id = PublicIdField(prefix="led")
    environment = models.ForeignKey("merchants.Environment", on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="entries")
    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="entries")
    sequence = models.IntegerField(null=True)
    kind = models.CharField(max_length=32)
    debit = models.CharField(max_length=32)
    credit = models.CharField(max_length=32)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    source_id = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="entry_number_within_order"),
            models.UniqueConstraint(fields=["kind", "source_id"], name="entry_once_per_source"),
            models.CheckConstraint(name="entry_moves_something", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="entry_has_a_number_iff_it_has_an_order",
                condition=Q(order__isnull=True, sequence__isnull=True) | Q(order__isnull=False, sequence__isnull=False),
            ),
            models.CheckConstraint(name="entry_between_two_accounts", condition=~Q(debit=F("credit"))),
        ]
        indexes = [models.Index(fields=["environment", "created_at"], name="entry_by_time")]
        triggers = [
            pgtrigger.Protect(name="entry_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            checks_its_order("entry_is_checked_with_its_order"),
            refuses_closed_periods("entry_in_an_open_period"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.money}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
