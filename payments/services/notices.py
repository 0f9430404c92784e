"""What people and time do about a processor's notices: try one again, set one aside, forget those that are over."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.records import touch
from payments import tasks
from payments.models import ProcessorNotice
from payments.models.notices import ENDED, NoticeStatus

MAX_REASON = 500


class NoticeAlreadyHandled(Conflict):
    code = "NOTICE_ALREADY_HANDLED"
    message = "The notice has been dealt with already."


class NoticeReasonRequired(InvalidInput):
    code = "NOTICE_REASON_REQUIRED"
    message = f"Say in at most {MAX_REASON} characters why nothing has to be done."


def retry_notice(*, notice_id: str, actor: Actor, at: datetime | None = None) -> ProcessorNotice:
    """
    Have a notice handled now, whatever became of it before, unless it had its effect.

    :raises NoticeNotFound: if the environment has no such notice.
    :raises NoticeAlreadyHandled: if it had its effect.
    """
    with transaction.atomic():
        notice = ProcessorNotice.objects.of(actor).lock(id=notice_id)
        if notice.status == NoticeStatus.HANDLED:
            raise NoticeAlreadyHandled(current_status=notice.status)
        before, notice.status = notice.status, NoticeStatus.RECEIVED
        notice.next_at, notice.handled_at = at or timezone.now(), None
        touch(notice, "status", "next_at", "handled_at")
        events.record_apart(
            notice.environment_id, "processor_notice.retried", subject=notice, actor=actor, previous_status=before
        )
        after_commit(tasks.handle_notice, notice_id=notice.id)
    return notice


def set_aside_notice(*, notice_id: str, reason: str, actor: Actor, at: datetime | None = None) -> ProcessorNotice:
    """
    Take a notice off the work list, in somebody's name and for a reason. It can still be tried again later.

    :raises NoticeNotFound: if the environment has no such notice.
    :raises NoticeReasonRequired: if the reason is empty or too long.
    :raises NoticeAlreadyHandled: if nothing is left to do about it.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or "\0" in reason:
        raise NoticeReasonRequired(param="reason")
    with transaction.atomic():
        notice = ProcessorNotice.objects.of(actor).lock(id=notice_id)
        if notice.has_ended:
            raise NoticeAlreadyHandled(current_status=notice.status)
        notice.status, notice.next_at, notice.handled_at = NoticeStatus.SET_ASIDE, None, at or timezone.now()
        notice.set_aside_by, notice.set_aside_reason = actor.label or actor.id, reason
        touch(notice, "status", "next_at", "handled_at", "set_aside_by", "set_aside_reason")
        # The reason is a person's own words, so it stays on the notice, which can be forgotten, unlike an event.
        events.record_apart(notice.environment_id, "processor_notice.set_aside", subject=notice, actor=actor)
    return notice


def purge_notices(*, at: datetime | None = None, batch: int = 5_000) -> int:
    """
    Forget notices that were over ``NOTICES_KEPT_DAYS`` ago, in batches; return how many.

    A processor gives up sending long before; should one come again all the same, it is a hint like any other.
    """
    before = (at or timezone.now()) - timedelta(days=settings.NOTICES_KEPT_DAYS)
    deleted = 0
    while True:
        old = ProcessorNotice.objects.filter(status__in=ENDED, handled_at__lt=before).order_by("handled_at")
        count, _ = ProcessorNotice.objects.filter(id__in=old.values("id")[:batch]).delete()
        deleted += count
        if count < batch:
            return deleted
