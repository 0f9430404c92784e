"""
Sending what is in the outbox. A worker takes a message by a lease, talks to the mail server outside any transaction,
and books what came of it under the order's lock. A worker that is killed in between leaves the message due again when
its lease ends; the mail then bears the same ``Message-ID``, by which mail programs know it for the same one.
"""

from datetime import datetime, timedelta
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPSenderRefused

import structlog
from django.conf import settings
from django.core.mail import BadHeaderError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from flint import actors
from flint.celery import refuse_inside_transaction
from flint.events import services as events
from flint.messages.composing import mail_of
from flint.messages.kinds import Unneeded, done
from flint.messages.models import Message, MessageStatus

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=5)
FIRST_RETRY, SLOWEST_RETRY = timedelta(seconds=30), timedelta(hours=6)
MOST_ATTEMPTS = 14
"""After about two days of trying, a mail server that answers nothing is taken at its word."""

BATCH = 100
FAILURES_IN_A_ROW = 3
"""So many messages that find no mail server, and a sweep leaves the rest for its next turn."""


def send_due(*, at: datetime | None = None) -> int:
    """Send every message that is due, a batch at a time; return how many went out. For the beat schedule."""
    at = at or timezone.now()
    due = Message.objects.filter(next_at__lte=at).order_by("next_at").values_list("id", flat=True)[:BATCH]
    sent = unreachable = 0
    for message_id in list(due):
        try:
            outcome = send(message_id, at=at)
        except Exception:
            log.exception("message.sending_failed", message_id=message_id)
            continue
        sent += outcome == "sent"
        unreachable = unreachable + 1 if outcome == "later" else 0
        if unreachable >= FAILURES_IN_A_ROW:
            break
    return sent


def send(message_id: str, *, at: datetime | None = None) -> str:
    """
    Send one message if it is due and nobody else is at it. A mail server that cannot be reached is tried again later.

    :return: ``sent``, ``later``, ``failed``, or nothing if there was nothing to do.
    """
    refuse_inside_transaction()
    at = at or timezone.now()
    due = Message.objects.filter(id=message_id, status=MessageStatus.QUEUED, next_at__lte=at)
    if not due.update(next_at=at + LEASE, attempts=F("attempts") + 1):
        return ""
    message = Message.objects.select_related("environment__merchant", "order").get(id=message_id)
    message.order.environment = message.environment
    message.taken_at = at
    if message.attempts > MOST_ATTEMPTS:
        return _book(message, error=message.error or "gave_up", at=at)
    try:
        mail_of(message).send()
    except Unneeded as why:
        return _book(message, error=why.reason, at=at)
    except BadHeaderError:
        return _book(message, error="bad_header", at=at)
    except (SMTPException, OSError) as problem:
        if _is_final(problem):
            return _book(message, error=_name_of(problem), at=at)
        return _later(message, error=_name_of(problem), at=at)
    return _book(message, error="", at=at)


def _book(message: Message, *, error: str, at: datetime) -> str:
    """Book that a message went out, or that it never will, in the order's history."""
    actor = actors.system(message.environment_id, "Messages")
    with transaction.atomic():
        order = Message.order.field.related_model.objects.behind(actor).lock(id=message.order_id)
        message = Message.objects.select_for_update().get(id=message.id)
        if message.status != MessageStatus.QUEUED:
            return str(message.status)
        known = {"kind": message.kind, "to": message.masked_recipient}
        if error:
            message.give_up(error=error)
            events.record(order, "order.message_failed", subject=message, actor=actor, **known, reason=error)
        else:
            message.deliver(at=at)
            events.record(order, "order.message_sent", subject=message, actor=actor, **known)
        message.save()
        if message.kind in done:
            done[message.kind](order, message, at)
        order.save(update_fields=["event_count", "updated_at"])
    log.info("message.sent" if not error else "message.failed", message_id=message.id, kind=message.kind, error=error)
    return str(message.status)


def _later(message: Message, *, error: str, at: datetime) -> str:
    """Let go of a message until its next turn, which is twice as far off each time."""
    if message.attempts >= MOST_ATTEMPTS:
        return _book(message, error=error, at=at)
    wait = min(FIRST_RETRY * 2 ** (message.attempts - 1), SLOWEST_RETRY)
    mine = Message.objects.filter(id=message.id, status=MessageStatus.QUEUED, attempts=message.attempts)
    mine.update(next_at=at + wait, error=error)
    log.warning("message.later", message_id=message.id, kind=message.kind, error=error, attempts=message.attempts)
    return "later"


def _is_final(problem: Exception) -> bool:
    """Whether the mail server said that it will never take this mail."""
    if isinstance(problem, SMTPRecipientsRefused):
        return all(500 <= code < 600 for code, _ in problem.recipients.values())
    return isinstance(problem, SMTPResponseException | SMTPSenderRefused) and problem.smtp_code in range(550, 555)


def _name_of(problem: Exception) -> str:
    """Say what went wrong without the server's own words, which repeat the address."""
    code = getattr(problem, "smtp_code", None)
    if isinstance(problem, SMTPRecipientsRefused):
        code = next((each for each, _ in problem.recipients.values()), None)
    return f"{type(problem).__name__} {code or ''}".strip()


def erase_addresses(*, at: datetime | None = None) -> int:
    """Erase the addresses of messages that are dealt with and older than the time to keep them; return how many."""
    before = (at or timezone.now()) - timedelta(days=settings.MESSAGES_KEPT_DAYS)
    old = Message.objects.filter(created_at__lt=before, next_at__isnull=True).exclude(recipient="")
    batch = old.order_by("created_at").values("id")[: BATCH * 10]
    return Message.objects.filter(id__in=batch).update(recipient="", cc=[])
