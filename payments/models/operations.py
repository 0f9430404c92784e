"""One call to a processor about one leg, written down before it is made."""

import json
from dataclasses import asdict

from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record
from flint.sealing import SealedField, Secret, Unsealable
from orders.keeping import KeepsVersions
from payments.processors.base import BuyerAction

SHOWN_ON_ORDER = [
    "id",
    "environment_id",
    "payment_intent_id",
    "attempt_id",
    "position",
    "kind",
    "amount",
    "currency",
    "answered_at",
    "result",
    "error_code",
    "error_message",
    "captured_amount",
    "created_at",
]
"""The columns that an order's answer is made of."""


class OperationKind(models.TextChoices):
    CONFIRM = "confirm"
    CAPTURE = "capture"
    CANCEL = "cancel"


class PaymentOperation(Record):
    """
    A call that moves a leg: its id is the processor's idempotency key and stands in the processor's metadata.

    ``answered_at`` is empty until the outcome is known, however it became known: by the answer, a notice or the sweep.
    ``reference`` is the processor's name for the payment that a confirm made. ``captured_amount`` is what came in
    through it. ``action`` is the buyer's pending step, sealed, and wiped once it is over.
    """

    order_column = "payment_intent__order_id"

    id = PublicIdField(prefix="pop")
    payment_intent = models.ForeignKey("payments.PaymentIntent", on_delete=models.PROTECT, related_name="operations")
    attempt = models.ForeignKey(
        "payments.PaymentAttempt", on_delete=models.PROTECT, null=True, related_name="operations"
    )
    position = models.IntegerField(default=0)
    kind = models.CharField(max_length=8, choices=OperationKind.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=32, blank=True)
    command_key = models.CharField(max_length=320, blank=True)
    command_digest = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    answered_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=32, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    captured_amount = models.BigIntegerField(default=0)
    action = SealedField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="operation_once_per_reference",
                fields=["environment", "reference"],
                condition=Q(kind="confirm") & ~Q(reference=""),
            ),
            models.UniqueConstraint(
                name="operation_one_unanswered_per_leg",
                fields=["payment_intent"],
                condition=Q(answered_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(answered_at__isnull=True), name="operation_unanswered"),
            models.Index(fields=["environment", "created_at"], condition=Q(kind="confirm"), name="confirm_by_time"),
        ]
        triggers = [
            KeepsVersions(
                name="operation_versions",
                order="(SELECT order_id FROM payments_paymentintent WHERE id = kept.payment_intent_id)",
                only=SHOWN_ON_ORDER,
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_unanswered(self) -> bool:
        return self.answered_at is None

    def ask_buyer(self, action: BuyerAction | None) -> None:
        """Keep the step that the buyer has to take, sealed; or none."""
        self.action = Secret.of(json.dumps(asdict(action))) if action else None

    @property
    def buyer_action(self) -> BuyerAction | None:
        """
        The step that the buyer has to take, if one is pending.

        None too if the key that sealed it is gone: asking the processor again, as ``resume`` does, seals it anew.
        """
        if self.action is None:
            return None
        try:
            return BuyerAction(**json.loads(self.action.reveal()))
        except Unsealable:
            return None
