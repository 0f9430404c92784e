"""What was sent of an invoice, to whom, and whether it went out."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from flint.ids import PublicIdField
from flint.records import Record


class DeliveryType(models.TextChoices):
    SEND = "send"
    REMINDER = "reminder"


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class InvoiceDelivery(Record):
    """
    One email of an invoice or of a reminder. ``fact`` says what it is about, so that it is told once: the issue, the
    rule and the due date of a reminder, or the request for one by hand.
    """

    order_column = "invoice__order_id"

    id = PublicIdField(prefix="ida")
    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.PROTECT, related_name="deliveries")
    delivery_type = models.CharField(max_length=8, choices=DeliveryType.choices)
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    fact = models.CharField(max_length=120)
    to_email = models.CharField(max_length=255, blank=True)
    cc_emails = ArrayField(models.CharField(max_length=255), default=list)
    error_message = models.CharField(max_length=255, blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "invoice deliveries"
        constraints = [models.UniqueConstraint(fields=["invoice", "fact"], name="delivery_once_per_fact")]
        indexes = [models.Index(fields=["invoice", "created_at"], name="delivery_by_invoice")]

    def __str__(self) -> str:
        return f"{self.delivery_type} {self.status}"
