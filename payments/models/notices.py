"""What processors tell us, as it came in."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet, Record

TRIES_OF_OUR_OWN = 8
"""How often a notice may fail before people are told; by then it has been tried for more than eight minutes."""

TOO_LONG = timedelta(minutes=15)
"""How long a notice may wait for its end before it counts as late."""


class NoticeNotFound(NotFound):
    message = "No such notice in this environment."


class NoticeStatus(models.TextChoices):
    RECEIVED = "received"
    """Waits to be handled."""
    HANDLED = "handled"
    IGNORED = "ignored"
    """Of a type that says nothing about money here."""
    FOREIGN = "foreign"
    """About an object of somebody else, or of the other mode."""
    FAILED = "failed"
    """Could not be handled, and is tried again at ``next_at`` if that is set."""
    UNMATCHED = "unmatched"
    """Says that it is ours, but fits nothing here: another amount, currency, leg, or an operation that is not here."""
    SET_ASIDE = "set_aside"
    """Looked at by somebody who said why nothing has to be done."""


N = NoticeStatus
ENDED = (N.HANDLED, N.IGNORED, N.FOREIGN, N.SET_ASIDE)
"""Nobody waits for these any more; they are forgotten after a while."""


class NoticeQuerySet(EnvironmentQuerySet):
    """Notices by what is left to do about them."""

    missing = NoticeNotFound

    def waiting_too_long(self, at: datetime) -> Self:
        """Keep to those that came a while ago and still wait for a try."""
        return self.filter(next_at__isnull=False, created_at__lte=at - TOO_LONG)

    def needing_people(self) -> Self:
        """Keep to those that trying again alone does not seem to mend."""
        return self.filter(
            Q(status=N.UNMATCHED, next_at__isnull=True)
            | Q(status=N.FAILED, attempts__gte=TRIES_OF_OUR_OWN)
            | Q(status=N.FAILED, next_at__isnull=True)
        )


class ProcessorNotice(Record):
    """
    A verified notice, stored once. Receipt and effect are two facts: ``status`` turns to handled in the transaction
    that applied it, a failure keeps its error and is tried again at ``next_at``. ``set_aside_by`` is a person's name,
    kept as it was then.
    """

    missing = NoticeNotFound

    id = PublicIdField(prefix="ntc")
    processor = models.CharField(max_length=32)
    notice_id = models.CharField(max_length=255)
    type = models.CharField(max_length=255)
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=255)
    told_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=NoticeStatus.choices, default=NoticeStatus.RECEIVED)
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_at = models.DateTimeField(null=True)
    handled_at = models.DateTimeField(null=True)
    set_aside_by = models.CharField(max_length=255, blank=True)
    set_aside_reason = models.CharField(max_length=500, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="notice_once", fields=["environment", "processor", "notice_id"]),
            models.CheckConstraint(
                name="notice_is_set_aside_by_somebody_for_a_reason",
                condition=~Q(status="set_aside") | ~Q(set_aside_by="") & ~Q(set_aside_reason=""),
            ),
            models.CheckConstraint(
                name="notice_that_ended_is_not_tried_again",
                condition=~Q(status__in=[status.value for status in ENDED])
                | Q(next_at__isnull=True, handled_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="notice_to_handle"),
            models.Index(
                fields=["environment", "status"],
                condition=Q(status__in=["failed", "unmatched"]),
                name="notice_in_trouble",
            ),
            models.Index(
                fields=["handled_at"],
                condition=Q(status__in=[status.value for status in ENDED]),
                name="notice_to_forget",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.reference}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.status in ENDED
