"""Answers kept for repeats of a request."""

from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.sealing import SealedField


class IdempotencyRecord(models.Model):
    """
    One wish of a client by its idempotency key: what was asked, and what was answered.

    A record in progress belongs to whoever holds its ``claim`` until ``lease_until``. The answer is sealed: it may hold
    what is meant for the buyer's browser alone, such as the secret of a pending action.
    """

    class State(models.TextChoices):
        IN_PROGRESS = "in_progress"
        DONE = "done"

    id = PublicIdField(prefix="idem")
    environment = models.ForeignKey("merchants.Environment", on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=320)
    operation = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DONE)
    claim = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_body = SealedField(blank=True, default="")
    response_meta = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="idempotency_record_once_per_key", fields=["environment", "key"]),
            models.CheckConstraint(
                name="idempotency_record_is_claimed_or_answered",
                condition=Q(state="in_progress", lease_until__isnull=False)
                | Q(state="done", response_status__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
