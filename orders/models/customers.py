"""Who owes."""

from django.db import models
from django.db.models.functions import Lower

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import Record


class CustomerNotFound(NotFound):
    message = "No such customer in this environment."


class Customer(Record):
    """Somebody who buys from a merchant. Known by an email address, unique within the environment."""

    missing = CustomerNotFound

    id = PublicIdField(prefix="cus")
    email = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=32, blank=True)
    billing_address = models.JSONField(null=True)
    shipping_address = models.JSONField(null=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    internal_note = models.TextField(blank=True)
    is_verified = models.BooleanField(default=False)
    tax_exempt = models.BooleanField(default=False)
    tax_identity = models.JSONField(null=True)
    default_invoice_payment_term_id = models.CharField(max_length=40, blank=True)
    metadata = models.JSONField(default=dict)
    default_payment_method_id = models.CharField(max_length=40, blank=True)
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint("environment", Lower("email"), name="customer_email_once")]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="customer_by_time"),
            models.Index(fields=["environment", "external_reference_id"], name="customer_by_reference"),
        ]

    def __str__(self) -> str:
        return self.name or self.email
