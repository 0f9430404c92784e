"""Codes by which a buyer shows that an email address is theirs, so that a checkout may act for its customer."""

from datetime import datetime, timedelta

import django_fsm as fsm
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.messages.models import masked
from flint.records import StatefulRecord
from flint.sealing import SealedField

LASTS = timedelta(minutes=15)
TRIES = 5
"""So many wrong codes, and it takes none any more."""


class CustomerVerificationNotFound(NotFound):
    message = "No such verification in this checkout."


class VerificationPurpose(models.TextChoices):
    SAVE_PAYMENT_METHOD = "save_payment_method"
    USE_SAVED_PAYMENT_METHODS = "use_saved_payment_methods"
    CONFIRM_SAVED_PAYMENT_METHOD = "confirm_saved_payment_method"
    GIFT_CARD_PURCHASE = "gift_card_purchase"


class VerificationChannel(models.TextChoices):
    EMAIL = "email"
    SMS = "sms"


class VerificationStatus(models.TextChoices):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELED = "canceled"


V = VerificationStatus


class CustomerVerification(StatefulRecord):
    """
    One code that was sent to an address for one checkout.

    ``code`` is kept sealed until it was used or cannot be any more. ``email`` is erased with the session's contact;
    ``email_digest`` stays, so that the limits on an address hold. ``wrong_tries`` counts codes that were not it.
    """

    missing = CustomerVerificationNotFound
    order_column = "session__order_id"

    id = PublicIdField(prefix="ver")
    session = models.ForeignKey("payments.CheckoutSession", on_delete=models.PROTECT, related_name="verifications")
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="+")
    purpose = models.CharField(max_length=32, choices=VerificationPurpose.choices)
    channel = models.CharField(max_length=8, choices=VerificationChannel.choices, default=VerificationChannel.EMAIL)
    status = fsm.FSMField(choices=V.choices, default=V.PENDING, protected=True)
    email = models.CharField(max_length=255, blank=True)
    is_email_named = models.BooleanField(default=True)
    email_digest = models.CharField(max_length=64, editable=False)
    code = SealedField(null=True)
    wrong_tries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="verification_one_pending", fields=["session"], condition=Q(status=V.PENDING)),
            models.CheckConstraint(
                name="verification_keeps_its_code_while_pending",
                condition=Q(status=V.PENDING, code__isnull=False) | (~Q(status=V.PENDING) & Q(code__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "email_digest", "created_at"], name="verification_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.status}"

    @property
    def shown_email(self) -> str | None:
        """The address as far as whoever asked for the code may see it: they named it, or it is somebody's."""
        shown = self.email if self.is_email_named else masked(self.email)
        return shown or None

    def takes_codes(self, at: datetime) -> bool:
        """Whether the right code would still be taken."""
        return self.status == V.PENDING and at < self.expires_at and self.wrong_tries < TRIES

    @fsm.transition(field=status, source=V.PENDING, target=V.CONFIRMED)
    def confirm(self, customer_id: str, *, at: datetime) -> None:
        """The address is the buyer's."""
        self.customer_id, self.code, self.ended_at = customer_id, None, at

    @fsm.transition(field=status, source=V.PENDING, target=V.CANCELED)
    def cancel(self, *, at: datetime) -> None:
        """Another code took its place, or the checkout is over."""
        self.code, self.ended_at = None, at
