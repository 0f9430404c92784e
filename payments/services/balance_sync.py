"""
Keeping up with the balance that a processor keeps: every movement and every payout, whether or not a notice told of it.

A sync goes on from where the last one ended, a little before it, so that what was listed late is found. What it finds
is recorded by ``record_movements`` and ``record_payout``, which anybody may repeat at any time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import after_commit
from flint.merchants.models import Environment
from payments import tasks
from payments.models import BalanceSync, BalanceTransaction
from payments.processors import processor_of
from payments.processors.base import DoesNotFit, Processor, ProcessorError, refuse_inside_transaction
from payments.services import payouts
from payments.services.bookkeeping import book
from payments.services.movements import record_listed

log = structlog.get_logger(__name__)

INTERVAL = timedelta(minutes=5)
OVERLAP = timedelta(hours=2)
"""How far before its end a sync is begun again: a processor may list a movement some time after it was made."""

SLICE = timedelta(days=7)
"""How much is asked for at once, so that a sync that is cut off has got somewhere."""

CLOSE = timedelta(hours=1)
BATCH = 500
ENVIRONMENTS = 100


def sync_due(*, at: datetime | None = None) -> int:
    """Start a sync of every environment whose turn it is, by a task each. Return how many."""
    at = at or timezone.now()
    with transaction.atomic():
        _take_in_new(at)
        due = BalanceSync.objects.select_for_update(skip_locked=True).filter(next_at__lte=at).order_by("next_at")
        turns = list(due[:ENVIRONMENTS])
        # Whatever becomes of the task, the next turn comes.
        BalanceSync.objects.filter(id__in=[turn.id for turn in turns]).update(next_at=at + INTERVAL)
        for turn in turns:
            after_commit(tasks.sync_balance, environment_id=turn.environment_id)
    return len(turns)


def _take_in_new(at: datetime) -> None:
    known = BalanceSync.objects.filter(environment=OuterRef("pk"), processor=OuterRef("processor"))
    new = Environment.objects.exclude(processor="").exclude(Exists(known)).order_by("id")[:ENVIRONMENTS]
    BalanceSync.objects.bulk_create(
        [BalanceSync(environment=each, processor=each.processor, next_at=at) for each in new], ignore_conflicts=True
    )


def sync_balance(
    environment_id: str, *, since: datetime | None = None, until: datetime | None = None, at: datetime | None = None
) -> int:
    """
    Record every movement and payout made since the last sync, or in ``since`` to ``until``. Return how many movements.

    While another sync of the environment is under way, nothing is done.

    What the processor would not answer is kept as the sync's last error; what was recorded until then stays.

    :raises DoesNotFit: if the processor's books do not add up. Nothing is skipped over: the next sync begins there.
    """
    refuse_inside_transaction()
    at = at or timezone.now()
    environment = Environment.objects.get(id=environment_id)
    if not environment.processor:
        return 0
    processor = processor_of(environment.processor)
    if not processor.is_configured(environment_id=environment_id):
        return 0
    sync, _ = BalanceSync.objects.get_or_create(
        environment=environment, processor=processor.name, defaults={"next_at": at + INTERVAL}
    )
    with _alone(environment_id) as is_alone:
        return _sync(sync, processor, since, until, at) if is_alone else 0


@contextmanager
def _alone(environment_id: str) -> Iterator[bool]:
    """
    Tell whether nobody else syncs the environment, and keep others out as long as the block takes.

    The broker hands a message out again while its worker is still busy with it. Without this a long sync would soon
    keep every worker busy. The database forgets the lock together with the worker's connection.
    """
    key = [f"balance sync {environment_id}"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key)
        (is_alone,) = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key)


def _sync(sync: BalanceSync, processor: Processor, since: datetime | None, until: datetime | None, at: datetime) -> int:
    environment_id = sync.environment_id
    actor = actors.processor(environment_id, processor.name)
    until = until or at
    since = since or (sync.synced_until - OVERLAP if sync.synced_until else sync.environment.created_at)
    count, error = 0, ""
    try:
        for start, end in _slices(since, until):
            count += _sync_slice(processor, actor, start, end, at)
            _advance(sync, start, end)
        _ask_about_pending(processor, actor, at)
        payouts.check_due(environment_id, at=at)
        _look_again(processor, actor, at)
    except DoesNotFit as mismatch:
        error = str(mismatch)
        raise
    except ProcessorError as failure:
        error = f"{type(failure).__name__}: {failure}"
        log.warning("balance.sync_failed", environment_id=environment_id, error=error)
    finally:
        BalanceSync.objects.filter(id=sync.id).update(last_error=error[:2000], updated_at=timezone.now())
    return count


def _slices(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        end = min(since + SLICE, until)
        yield since, end
        since = end


def _sync_slice(processor: Processor, actor: Actor, since: datetime, until: datetime, at: datetime) -> int:
    """Record what was made in a stretch of time; payouts first, so that their movements find them."""
    window = {"environment_id": actor.environment_id, "since": since, "until": until}
    for state in processor.list_payouts(**window):
        payouts.record_payout(state, processor=processor.name, actor=actor, at=at)
    return record_listed(processor.list_balance_transactions(**window), processor=processor.name, actor=actor, at=at)


def _advance(sync: BalanceSync, start: datetime, end: datetime) -> None:
    """Move the mark to the end of a stretch that joins on to it; one further on leaves a gap, and moves nothing."""
    joins = Q(synced_until__isnull=True, environment__created_at__gte=start) | Q(synced_until__gte=start)
    BalanceSync.objects.filter(joins, id=sync.id).filter(Q(synced_until__isnull=True) | Q(synced_until__lt=end)).update(
        synced_until=end
    )


def _ask_about_pending(processor: Processor, actor: Actor, at: datetime) -> None:
    """List again the times of movements that ought to be available by now; the processor says whether they are."""
    due = BalanceTransaction.objects.filter(
        Q(available_at__lte=at) | Q(available_at__isnull=True, occurred_at__lte=at - timedelta(days=1)),
        environment_id=actor.environment_id,
        processor=processor.name,
        status="pending",
    )
    # The newest first, so that some that never become available keep nobody waiting.
    times = due.order_by("-occurred_at").values_list("occurred_at", flat=True)[:BATCH]
    for since, until in _windows(sorted(times)):
        again = processor.list_balance_transactions(
            environment_id=actor.environment_id, since=since, until=until + timedelta(seconds=1)
        )
        record_listed(again, processor=processor.name, actor=actor, at=at)


def _windows(times: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Gather moments that lie close together, so that each stretch is asked for once and nothing between stretches."""
    windows: list[tuple[datetime, datetime]] = []
    for moment in times:
        if windows and moment - windows[-1][1] <= CLOSE:
            windows[-1] = (windows[-1][0], moment)
        else:
            windows.append((moment, moment))
    return windows


def _look_again(processor: Processor, actor: Actor, at: datetime) -> None:
    """Look once more for what is behind the movements that nothing accounts for, those not looked at longest first."""
    unexplained = BalanceTransaction.objects.filter(
        environment_id=actor.environment_id, processor=processor.name, is_explained=False
    ).filter(Q(looked_at__isnull=True) | Q(looked_at__lt=at))
    rows = list(unexplained.order_by(F("looked_at").asc(nulls_first=True), "id")[:BATCH])
    book(rows, processor=processor.name, actor=actor, at=at)
