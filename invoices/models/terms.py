"""When an invoice is due, as a merchant agrees it with its customers, and what being late costs."""

from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import Record


class InvoicePaymentTermNotFound(NotFound):
    message = "No such payment term in this environment."


class TermStatus(models.TextChoices):
    ACTIVE = "active"
    ARCHIVED = "archived"


class Calculation(models.TextChoices):
    ON_RECEIPT = "on_receipt"
    NET_DAYS = "net_days"
    DAY_OF_MONTH = "day_of_month"
    DAY_OF_NEXT_MONTH = "day_of_next_month"
    DAYS_AFTER_MONTH_END = "days_after_month_end"


class InvoicePaymentTerm(Record):
    """
    A payment term. What an issued invoice was agreed on is its own snapshot; later changes here do not reach it.

    ``calculation`` is the contract's object (``type`` with ``days`` or ``day``), ``late_fee_policy`` likewise.
    """

    missing = InvoicePaymentTermNotFound

    id = PublicIdField(prefix="ipt")
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=8, choices=TermStatus.choices, default=TermStatus.ACTIVE)
    calculation = models.JSONField()
    late_fee_policy = models.JSONField(null=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    version = models.IntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(name="term_status_is_known", condition=Q(status__in=TermStatus.values)),
            models.CheckConstraint(name="term_version_counts_from_one", condition=Q(version__gte=1)),
        ]
        indexes = [models.Index(fields=["environment", "created_at", "id"], name="term_by_time")]

    def __str__(self) -> str:
        return self.name
