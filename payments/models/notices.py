"""What processors tell us, as it came in."""

from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import Record


class NoticeStatus(models.TextChoices):
    RECEIVED = "received"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"
    UNMATCHED = "unmatched"


class ProcessorNotice(Record):
    """
    A verified notice, stored once. Receipt and effect are two facts: ``status`` turns to handled in the transaction
    that applied it, a failure keeps its error and is tried again at ``next_at``.
    """

    id = PublicIdField(prefix="ntc")
    processor = models.CharField(max_length=32)
    notice_id = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=255)
    told_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=NoticeStatus.choices, default=NoticeStatus.RECEIVED)
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_at = models.DateTimeField(null=True)
    handled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="notice_once", fields=["environment", "processor", "notice_id"]),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="notice_to_handle"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.reference}"
