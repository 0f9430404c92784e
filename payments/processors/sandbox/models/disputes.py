"""Payments that the buyer's bank takes back, or asks about."""

from datetime import datetime

import django_fsm as fsm
from django.db import models
from django.db.models import Q
from django.utils import timezone

from flint.ids import PublicIdField
from payments.processors.sandbox.models.payments import SandboxPayment


class SandboxDispute(models.Model):
    """
    A buyer's bank against one payment. A payment can have several, and each can be for more than is left of it.

    ``withdrawn_amount`` is what the merchant is without at the moment. Money moves apart from the status: a lost
    dispute may be won later, and part of what was withdrawn may come back before anything is decided.
    """

    class Status(models.TextChoices):
        WARNING_NEEDS_RESPONSE = "warning_needs_response"
        WARNING_UNDER_REVIEW = "warning_under_review"
        WARNING_CLOSED = "warning_closed"
        NEEDS_RESPONSE = "needs_response"
        UNDER_REVIEW = "under_review"
        WON = "won"
        LOST = "lost"
        PREVENTED = "prevented"

    WARNINGS = (Status.WARNING_NEEDS_RESPONSE, Status.WARNING_UNDER_REVIEW)
    DISPUTED = (Status.NEEDS_RESPONSE, Status.UNDER_REVIEW)
    WAITING = (Status.WARNING_NEEDS_RESPONSE, Status.NEEDS_RESPONSE)

    reference = PublicIdField(prefix="sbd")
    environment_id = models.CharField(max_length=40)
    payment = models.ForeignKey(SandboxPayment, on_delete=models.PROTECT, related_name="disputes")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    withdrawn_amount = models.BigIntegerField(default=0)
    fee_amount = models.BigIntegerField(default=0)
    status = fsm.FSMField(max_length=32, choices=Status.choices, protected=True)
    reason = models.CharField(max_length=32)
    case_type = models.CharField(max_length=16)
    evidence_due_at = models.DateTimeField(null=True)
    evidence_submission_count = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(name="sandbox_dispute_newest", fields=["environment_id", "-created_at", "-reference"]),
            models.Index(name="sandbox_dispute_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="sandbox_dispute_is_of_something", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="sandbox_dispute_gives_back_no_more", condition=Q(withdrawn_amount__gte=0)),
        ]

    def __str__(self) -> str:
        return self.reference

    def is_past_due(self, at: datetime) -> bool:
        """Tell whether the bank waits for evidence that should have come before that moment."""
        return self.status in self.WAITING and self.evidence_due_at is not None and at >= self.evidence_due_at

    @fsm.transition(field=status, source=[*WARNINGS], target=Status.NEEDS_RESPONSE)
    def escalate(self, *, due_at: datetime) -> None:
        """Turn a question into a dispute, with a new time to answer."""
        self.case_type = "chargeback"
        self.evidence_due_at = self.due_at = due_at

    @fsm.transition(field=status, source=Status.WARNING_NEEDS_RESPONSE, target=Status.WARNING_UNDER_REVIEW)
    def answer(self) -> None:
        """Hand in an answer to a question."""
        self.evidence_submission_count += 1
        self.due_at = None

    @fsm.transition(field=status, source=[*DISPUTED], target=Status.UNDER_REVIEW)
    def contest(self) -> None:
        """Hand in evidence, for the first time or again."""
        self.evidence_submission_count += 1
        self.due_at = None

    @fsm.transition(field=status, source=[*DISPUTED, Status.LOST], target=Status.WON)
    def win(self) -> None:
        """Decide for the merchant, also after it was decided against them."""
        self.due_at = None

    @fsm.transition(field=status, source=[*DISPUTED, Status.WON], target=Status.LOST)
    def lose(self) -> None:
        """Decide for the buyer, also after it was decided for the merchant."""
        self.due_at = None

    @fsm.transition(field=status, source=[*WARNINGS], target=Status.WARNING_CLOSED)
    def drop(self) -> None:
        """Ask no more."""
        self.due_at = None

    @fsm.transition(field=status, source=[*WARNINGS, *DISPUTED], target=Status.PREVENTED)
    def prevent(self) -> None:
        """Settle it before it is decided."""
        self.due_at = None
