"""One fixed amount to collect: a leg of an order."""

from datetime import datetime
from typing import Self

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.actors import Actor
from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import EnvironmentQuerySet, StatefulRecord
from orders.guard import checks_its_order
from orders.keeping import KeepsVersions


class PaymentIntentNotFound(NotFound):
    code = "PAYMENT_INTENT_NOT_FOUND"
    message = "No such payment intent."


class IntentStatus(models.TextChoices):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    EXPIRED = "expired"


S = IntentStatus
CONFIRMABLE = (S.REQUIRES_PAYMENT_METHOD, S.REQUIRES_CONFIRMATION)
UNDER_WAY = (S.PROCESSING, S.REQUIRES_ACTION)
NOT_FINAL = (*CONFIRMABLE, *UNDER_WAY, S.REQUIRES_CAPTURE)


SHOWN_ON_ORDER = [
    "id",
    "environment_id",
    "order_id",
    "status",
    "amount",
    "currency",
    "tip_amount",
    "capture_method",
    "authorized_amount",
    "authorization_expires_at",
    "captured_amount",
    "refunded_amount",
    "payment_method_id",
    "source_type",
    "source_brand",
    "source_last4",
    "source_bank_name",
    "source_account_type",
    "created_at",
    "updated_at",
]
"""The columns that an order's answer is made of."""


class CaptureMethod(models.TextChoices):
    AUTOMATIC = "automatic"
    MANUAL = "manual"


class TransactionPurpose(models.TextChoices):
    GOODS = "goods"
    SERVICES = "services"
    OTHER = "other"


class PaymentIntentQuerySet(EnvironmentQuerySet):
    """Payment intents. A buyer sees those that its own checkout session made."""

    def of(self, actor: Actor) -> Self:
        """Keep to what the actor may see."""
        rows = super().of(actor)
        return rows.filter(checkout_session_id=actor.id) if actor.is_buyer else rows


class PaymentIntent(StatefulRecord):
    """
    A leg: one fixed amount of an order's money to collect. Amounts in minor units of ``currency``.

    ``checkout_session`` is the one whose buyer made it, if it was a buyer. ``kept_for`` is the customer for whom the
    card is saved once it has paid.
    It is never rewritten, except that a standalone one, the only leg of a hidden order, changes together with it.
    ``is_staged`` tells a leg that the caller made and chooses itself from one that ``pay`` made for a single try.
    ``captured_amount`` is what came in, gross; ``tip_amount`` is the part of ``amount`` that is tip.
    ``processing_fee_amount`` is what the processor took of it and ``merchant_net_amount`` what it left, once it has
    said so, in ``fee_currency``: that of the processor's balance, which may be another.
    """

    missing = PaymentIntentNotFound
    order_column = "order_id"
    objects = PaymentIntentQuerySet.as_manager()

    id = PublicIdField(prefix="pi")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="payment_intents")
    status = fsm.FSMField(choices=S.choices, default=S.REQUIRES_PAYMENT_METHOD, protected=True)
    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.PROTECT, null=True, related_name="payment_intents")
    checkout_session = models.ForeignKey(
        "payments.CheckoutSession", on_delete=models.PROTECT, null=True, related_name="payment_intents"
    )
    is_staged = models.BooleanField(default=False)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    tip_amount = models.BigIntegerField(default=0)
    capture_method = models.CharField(max_length=10, choices=CaptureMethod.choices, default=CaptureMethod.AUTOMATIC)
    payment_options = models.JSONField(default=list)
    payment_return_url = models.TextField(blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict)
    receipt_email = models.CharField(max_length=255, blank=True)
    transaction_purpose = models.CharField(max_length=8, choices=TransactionPurpose.choices, blank=True)
    processor = models.CharField(max_length=32)
    payment_method = models.ForeignKey(
        "payments.PaymentMethod", on_delete=models.PROTECT, null=True, related_name="payment_intents"
    )
    kept_for = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="+")

    authorized_amount = models.BigIntegerField(default=0)
    authorized_at = models.DateTimeField(null=True)
    authorization_expires_at = models.DateTimeField(null=True)
    captured_amount = models.BigIntegerField(default=0)
    captured_tip_amount = models.BigIntegerField(default=0)
    captured_at = models.DateTimeField(null=True)
    released_amount = models.BigIntegerField(default=0)
    refund_pending_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)
    charged_back_amount = models.BigIntegerField(default=0)
    processing_fee_amount = models.BigIntegerField(null=True)
    merchant_net_amount = models.BigIntegerField(null=True)
    fee_currency = models.CharField(max_length=3, blank=True)
    dispute_status = models.CharField(max_length=24, default="none")

    source_type = models.CharField(max_length=12, blank=True)
    source_brand = models.CharField(max_length=20, blank=True)
    source_last4 = models.CharField(max_length=4, blank=True)
    source_bank_name = models.CharField(max_length=100, blank=True)
    source_account_type = models.CharField(max_length=12, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_at = models.DateTimeField(null=True)
    cancellation_reason = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="leg_amount_positive", condition=Q(amount__gte=1, tip_amount__gte=0)),
            models.CheckConstraint(
                name="leg_holds_nothing_negative", condition=Q(authorized_amount__gte=0, released_amount__gte=0)
            ),
            models.CheckConstraint(name="leg_tip_within_amount", condition=Q(tip_amount__lte=F("amount"))),
            models.CheckConstraint(
                name="leg_gives_back_at_most_what_it_captured",
                condition=Q(
                    refund_pending_amount__gte=0,
                    refunded_amount__gte=0,
                    charged_back_amount__gte=0,
                    captured_amount__gte=F("refunded_amount") + F("refund_pending_amount") + F("charged_back_amount"),
                ),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="leg_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="leg_by_change"),
            models.Index(fields=["environment", "amount", "id"], name="leg_by_amount"),
            models.Index(fields=["environment", "external_reference_id"], name="leg_by_reference"),
            models.Index(fields=["environment", "source_last4"], name="leg_by_last4"),
        ]
        triggers = [
            checks_its_order("leg_is_checked_with_its_order", function="flint_check_payments"),
            pgtrigger.Protect(
                name="leg_settled_stays_settled",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status=S.SUCCEEDED) & ~pgtrigger.Q(new__status=S.SUCCEEDED),
            ),
            pgtrigger.Protect(name="leg_is_never_deleted", operation=pgtrigger.Delete),
            KeepsVersions(name="leg_versions", only=SHOWN_ON_ORDER),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def processing_fee_money(self) -> Money | None:
        """What the processor took of what came in; None until it has said so. A refund does not change it."""
        if self.processing_fee_amount is None:
            return None
        return Money(self.processing_fee_amount, self.fee_currency)

    @property
    def merchant_net_money(self) -> Money | None:
        """What came in less that, in the currency of the processor's balance."""
        return None if self.merchant_net_amount is None else Money(self.merchant_net_amount, self.fee_currency)

    @property
    def is_standalone(self) -> bool:
        """Whether a merchant made it without an order of its own; then its order is hidden."""
        return self.order.is_hidden

    @property
    def capturable_amount(self) -> int:
        """What of a hold may still be taken."""
        return self.authorized_amount - self.captured_amount if self.status == S.REQUIRES_CAPTURE else 0

    @property
    def refundable_amount(self) -> int:
        """What of the captured money may still be given back, promises included."""
        return self.captured_amount - self.refunded_amount - self.refund_pending_amount - self.charged_back_amount

    @property
    def is_disputed(self) -> bool:
        """Whether a dispute holds or may yet take some of its money; an inquiry only asks."""
        return self.charged_back_amount > 0 or self.dispute_status in ("needs_response", "under_review", "lost")

    @property
    def is_final(self) -> bool:
        return self.status in (S.SUCCEEDED, S.CANCELED, S.EXPIRED)

    def can_be_captured(self, at: datetime) -> bool:
        """Whether the hold has not run out; at or after its expiry nothing can be captured."""
        return self.authorization_expires_at is None or at < self.authorization_expires_at

    @fsm.transition(field=status, source=CONFIRMABLE, target=S.PROCESSING)
    def submit(self) -> None:
        """A call to the processor is about to be made; until it is answered, the outcome is unknown."""
        self.error_code, self.error_message, self.error_at = "", "", None

    @fsm.transition(field=status, source=UNDER_WAY, target=S.REQUIRES_ACTION)
    def require_action(self) -> None:
        """The buyer must act before it can go on."""

    @fsm.transition(field=status, source=UNDER_WAY, target=S.PROCESSING)
    def wait(self) -> None:
        """Under way at the processor; it may take days."""

    @fsm.transition(field=status, source=UNDER_WAY, target=S.REQUIRES_PAYMENT_METHOD)
    def decline(self, *, code: str, message: str, at: datetime) -> None:
        """This try did not bring the money; another may."""
        self.error_code, self.error_message, self.error_at = code, message, at

    @fsm.transition(field=status, source=(*CONFIRMABLE, *UNDER_WAY, S.REQUIRES_CAPTURE), target=S.REQUIRES_CAPTURE)
    def authorize(self, money: Money, *, at: datetime, expires_at: datetime | None) -> None:
        """A hold was placed; the money is not ours yet."""
        self.authorized_amount = money.amount
        self.authorized_at = self.authorized_at or at
        self.authorization_expires_at = expires_at

    @fsm.transition(field=status, source="*", target=S.SUCCEEDED)
    def settle(self, money: Money, *, tip_amount: int, authorized_amount: int, at: datetime) -> None:
        """
        Money came in. Evidence of money outranks whatever was believed before, a cancellation included.

        What was held beyond the money taken is let go.
        """
        self.captured_amount += money.amount
        self.captured_tip_amount += tip_amount
        self.authorized_amount = max(self.authorized_amount, authorized_amount)
        self.released_amount = max(self.authorized_amount - self.captured_amount, 0)
        self.captured_at = at
        self.error_code, self.error_message, self.error_at = "", "", None

    @fsm.transition(field=status, source=NOT_FINAL, target=S.CANCELED)
    def cancel(self, *, reason: str) -> None:
        """Nothing will be collected through it."""
        self.cancellation_reason = reason
        self.released_amount = self.authorized_amount

    @fsm.transition(field=status, source=S.REQUIRES_CAPTURE, target=S.EXPIRED)
    def expire(self) -> None:
        """The hold ran out before it was captured."""
        self.cancellation_reason = "authorization_expired"
        self.released_amount = self.authorized_amount
