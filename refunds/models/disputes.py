"""Taking back: what customers dispute, what the processor withdrew for it, and what became of the debt."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record, StatefulRecord
from orders.guard import checks_its_order


class DisputeNotFound(NotFound):
    code = "DISPUTE_NOT_FOUND"
    message = "No such dispute in this environment."


class DisputeStatus(models.TextChoices):
    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


D = DisputeStatus
INQUIRY = (D.WARNING_NEEDS_RESPONSE, D.WARNING_UNDER_REVIEW)
CONTESTED = (D.NEEDS_RESPONSE, D.UNDER_REVIEW)
FINAL = (D.WARNING_CLOSED, D.WON, D.LOST, D.PREVENTED)
ASKS_FOR_A_RESPONSE = (D.WARNING_NEEDS_RESPONSE, D.NEEDS_RESPONSE)

# How far a dispute has come. Within a stage it may go to and fro: a bank asks for more, or a customer withdraws what
# was lost already. Back to an earlier stage it never goes, so news of one is old news.
STAGES = {
    D.WARNING_NEEDS_RESPONSE: 0,
    D.WARNING_UNDER_REVIEW: 0,
    D.WARNING_CLOSED: 1,
    D.NEEDS_RESPONSE: 2,
    D.UNDER_REVIEW: 2,
    D.PREVENTED: 3,
    D.WON: 3,
    D.LOST: 3,
}
MOVES = [(old.value, new.value) for old in STAGES for new in STAGES if old != new and STAGES[old] <= STAGES[new]]


class CaseType(models.TextChoices):
    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    COMPLIANCE = "compliance"
    RESOLUTION = "resolution"
    BLOCK = "block"
    BANK_RETURN = "bank_return"
    OTHER = "other"


class DisputeReason(models.TextChoices):
    FRAUDULENT = "fraudulent"
    DUPLICATE = "duplicate"
    PRODUCT_NOT_RECEIVED = "product_not_received"
    PRODUCT_UNACCEPTABLE = "product_unacceptable"
    CREDIT_NOT_PROCESSED = "credit_not_processed"
    SUBSCRIPTION_CANCELED = "subscription_canceled"
    UNRECOGNIZED = "unrecognized"
    GENERAL = "general"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    INCORRECT_ACCOUNT_DETAILS = "incorrect_account_details"
    DEBIT_NOT_AUTHORIZED = "debit_not_authorized"
    BANK_CANNOT_PROCESS = "bank_cannot_process"
    CHECK_RETURNED = "check_returned"
    CUSTOMER_INITIATED = "customer_initiated"
    NONCOMPLIANT = "noncompliant"
    BANK_ACCOUNT_CLOSED = "bank_account_closed"
    BANK_ACCOUNT_NOT_FOUND = "bank_account_not_found"
    BANK_DEBIT_NOT_AUTHORIZED = "bank_debit_not_authorized"
    BANK_ACCOUNT_RESTRICTED = "bank_account_restricted"
    OTHER = "other"


class Decision(models.TextChoices):
    WRITE_OFF = "write_off"
    COLLECT_AGAIN = "collect_again"


class Dispute(StatefulRecord):
    """
    A payment that a customer or a bank takes back, as its processor tells it. Amounts in minor units.

    ``amount`` is what is disputed, in ``currency``; all other amounts are in the payment's currency.
    ``withdrawn_amount`` is what the processor holds back for it now. As much of it as the payment still held counts on
    the order, ``charged_back_amount``; what goes beyond, because a refund or a rate of exchange took it first, is the
    merchant's loss, ``excess_amount``, of which staff have seen ``noted_amount``. ``decision`` is what staff made of
    the debt that came back; ``written_off_amount`` is what is no longer owed by it. ``asked_at`` is when the newest
    state applied was asked for.
    """

    missing = DisputeNotFound

    id = PublicIdField(prefix="dsp")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="disputes")
    payment_intent = models.ForeignKey("payments.PaymentIntent", on_delete=models.PROTECT, related_name="disputes")
    operation = models.ForeignKey("payments.PaymentOperation", on_delete=models.PROTECT, related_name="disputes")
    reference = models.CharField(max_length=255)
    status = fsm.FSMField(choices=D.choices, default=D.NEEDS_RESPONSE, protected=True)
    case_type = models.CharField(max_length=16, choices=CaseType.choices)
    reason = models.CharField(max_length=32, choices=DisputeReason.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    withdrawn_amount = models.BigIntegerField(default=0)
    charged_back_amount = models.BigIntegerField(default=0)
    excess_amount = models.BigIntegerField(default=0)
    noted_amount = models.BigIntegerField(default=0)
    written_off_amount = models.BigIntegerField(default=0)
    decision = models.CharField(max_length=16, choices=Decision.choices, blank=True)
    decided_at = models.DateTimeField(null=True)
    evidence_due_at = models.DateTimeField(null=True)
    has_evidence = models.BooleanField(default=False)
    evidence_submission_count = models.IntegerField(default=0)
    is_evidence_past_due = models.BooleanField(default=False)
    opened_at = models.DateTimeField()
    status_changed_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    next_check_at = models.DateTimeField(null=True)
    checks = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="dispute_once_per_reference", fields=["environment", "reference"]),
            models.CheckConstraint(
                name="dispute_books_what_was_withdrawn",
                condition=Q(
                    withdrawn_amount=F("charged_back_amount") + F("excess_amount"),
                    charged_back_amount__gte=0,
                    excess_amount__gte=0,
                    noted_amount__gte=0,
                ),
            ),
            models.CheckConstraint(
                name="dispute_writes_off_at_most_what_it_took",
                condition=Q(written_off_amount__gte=0, written_off_amount__lte=F("charged_back_amount")),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="dispute_by_time"),
            models.Index(fields=["environment", "evidence_due_at"], name="dispute_by_due_date"),
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="dispute_to_check"),
        ]
        triggers = [
            checks_its_order("dispute_is_checked_with_its_order", function="flint_check_disputes"),
            pgtrigger.FSM(name="dispute_moves_forward", field="status", transitions=MOVES),
            pgtrigger.Protect(name="dispute_is_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.money} {self.status.replace('_', ' ')}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_final(self) -> bool:
        """Whether it has ended. A customer may still withdraw what was lost, so even an end can be replaced."""
        return self.status in FINAL

    @property
    def is_undecided(self) -> bool:
        """Whether money is gone from the order and nobody has said what becomes of the debt."""
        return self.charged_back_amount > 0 and not self.decision

    @property
    def has_new_loss(self) -> bool:
        """Whether more is lost beyond the order than anybody has taken note of."""
        return self.excess_amount > self.noted_amount

    @property
    def is_answerable(self) -> bool:
        """Whether the merchant can still send evidence. A bank return cannot be contested."""
        return (
            self.status in ASKS_FOR_A_RESPONSE
            and self.case_type != CaseType.BANK_RETURN
            and not self.is_evidence_past_due
        )

    def contested_amount(self, captured_amount: int, currency: str) -> int:
        """
        Return what a dispute under way may still withdraw of a payment in ``currency`` that took ``captured_amount``.

        An inquiry withdraws nothing, and giving the money back is one way to answer it.
        """
        if self.status not in CONTESTED:
            return 0
        disputed = min(self.amount, captured_amount) if self.currency == currency else captured_amount
        return max(disputed - self.withdrawn_amount, 0)

    def may_become(self, status: str) -> bool:
        """Whether a status is news, and not an earlier one that arrives late."""
        return STAGES[D(status)] >= STAGES[D(self.status)]

    @fsm.transition(field=status, source="*", target=fsm.GET_STATE(lambda self, status, **_: status, states=D.values))
    def become(self, status: str, *, at: datetime) -> None:
        """Take the status that the processor tells."""
        self.status_changed_at = at

    def withdraw(self, *, charged_back: int, excess: int) -> None:
        """Move what is held back for it, both parts by signed amounts. More debt than was decided on is undecided."""
        self.charged_back_amount += charged_back
        self.excess_amount += excess
        self.withdrawn_amount += charged_back + excess
        if charged_back > 0:
            self.decision, self.decided_at = "", None

    def note_loss(self) -> None:
        """Take note of what is lost beyond the order."""
        self.noted_amount = self.excess_amount

    def decide(self, decision: str, *, written_off: int, at: datetime) -> None:
        """Say what becomes of the debt."""
        self.decision, self.decided_at = decision, at
        self.written_off_amount += written_off


class DisputeMovement(Record):
    """
    One step of a dispute's money, by signed amounts: on the order, beyond it, and of the debt it left. The source of
    ledger entries. ``credit_restored_amount`` is what the order's closing had written off and is paid after all.
    """

    id = PublicIdField(prefix="dmv")
    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="movements")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="+")
    charged_back_amount = models.BigIntegerField(default=0)
    excess_amount = models.BigIntegerField(default=0)
    written_off_amount = models.BigIntegerField(default=0)
    credit_restored_amount = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["dispute", "created_at", "id"]
        constraints = [
            models.CheckConstraint(name="movement_restores_forward_only", condition=Q(credit_restored_amount__gte=0)),
        ]
        triggers = [
            pgtrigger.Protect(name="movement_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            checks_its_order("movement_is_checked_with_its_order", function="flint_check_disputes"),
        ]

    def __str__(self) -> str:
        return f"{self.charged_back_amount:+} {self.excess_amount:+}"
