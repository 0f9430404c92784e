"""The outbox: emails about orders, each about one fact, and which kinds of them a merchant writes itself."""

from datetime import datetime

import django_fsm as fsm
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import StatefulRecord


class MessageNotFound(NotFound):
    message = "No such message in this environment."


class MessageStatus(models.TextChoices):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


M = MessageStatus


class Message(StatefulRecord):
    """
    One email about one order, written with the fact that it tells of and sent after the commit.

    It holds no text: what it says is put together from the order when it is sent. ``kind`` and ``source_id``, the row
    that the fact is about, come together once only. ``recipient`` and ``cc`` are erased after a while;
    ``recipient_digest`` stays, so that the limits on addresses hold for the order's whole life. ``next_at`` is when it
    is due, or, while a worker sends it, when that worker is given up.
    """

    missing = MessageNotFound

    id = PublicIdField(prefix="msg")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=32)
    source_id = models.CharField(max_length=40)
    recipient = models.CharField(max_length=255, blank=True)
    recipient_digest = models.CharField(max_length=64, editable=False)
    cc = ArrayField(models.CharField(max_length=255), default=list)
    language = models.CharField(max_length=16, default="en")
    status = fsm.FSMField(choices=M.choices, default=M.QUEUED, protected=True)
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=100, blank=True)
    sent_at = models.DateTimeField(null=True)

    taken_at: datetime | None = None
    """When a worker took it to send it; kept in memory for what it says to be true then."""

    class Meta:
        constraints = [
            models.UniqueConstraint(name="message_once_per_fact", fields=["kind", "source_id"]),
            models.CheckConstraint(
                name="message_is_due_iff_it_is_queued",
                condition=Q(status=MessageStatus.QUEUED, next_at__isnull=False)
                | (~Q(status=MessageStatus.QUEUED) & Q(next_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="message_that_is_queued_has_an_address",
                condition=~Q(status=MessageStatus.QUEUED, recipient=""),
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="message_to_send"),
            models.Index(fields=["created_at"], condition=~Q(recipient=""), name="message_to_erase"),
            models.Index(fields=["environment", "created_at"], name="message_by_time"),
            models.Index(fields=["updated_at"], condition=Q(status=MessageStatus.FAILED), name="message_that_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"

    @property
    def masked_recipient(self) -> str:
        """The address as far as it may be shown to whoever reads a history: ``a•••@example.com``."""
        return masked(self.recipient)

    @property
    def masked_cc(self) -> list[str]:
        """The addresses that get a copy, as far as they may be shown."""
        return [masked(each) for each in self.cc]

    @fsm.transition(field=status, source=M.QUEUED, target=M.SENT)
    def deliver(self, *, at: datetime) -> None:
        """The mail server took it."""
        self.sent_at, self.next_at, self.error = at, None, ""

    @fsm.transition(field=status, source=M.QUEUED, target=M.FAILED)
    def give_up(self, *, error: str) -> None:
        """It cannot be sent, or is not wanted any more."""
        self.error, self.next_at = error, None


def masked(address: str) -> str:
    """Return an address with most of its name hidden."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}•••@{domain}" if domain else ""
