"""
Closing a month. Nothing is booked into a closed month any more; what is learned later is a fact of a later month.

In two steps, so that no sale ever waits for it: the month is written down, from which moment the database refuses
entries before its end; and once everybody who may have written before that has ended, its journal is read, held
against the books and sealed with its totals and its hash.
"""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.db import connection, connections, transaction
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.merchants.models import Environment
from flint.reports.registry import Scope, types
from flint.reports.services.running import READS_FROM, Disagreement, agree, freeze
from flint.reports.settling import has_caught_up, is_settled, position, watermark
from flint.reports.writing import Writer
from orders import tasks
from orders.models import LedgerEntry, PeriodClose

log = structlog.get_logger(__name__)

GRACE = timedelta(hours=1)
"""How long after its end a month may be closed at the earliest, so that what happened within it has been booked."""

MAX_REASON = 500


class PeriodNotNext(Conflict):
    code = "PERIOD_NOT_NEXT"
    message = "Months are closed one after the other. This is not the next one."


class PeriodNotOver(Conflict):
    code = "PERIOD_NOT_OVER"
    message = "A month can be closed an hour after it has ended, at the earliest."


class PeriodReasonRequired(InvalidInput):
    code = "PERIOD_REASON_REQUIRED"
    message = f"Say in at most {MAX_REASON} characters why the month is closed, or what was checked."


@dataclass(frozen=True, slots=True)
class Period:
    """A month by the clocks of a zone: from ``start`` until before ``end``."""

    label: str
    timezone: str
    start: datetime
    end: datetime

    def may_be_closed(self, at: datetime) -> bool:
        """Whether it has been over for long enough."""
        return at >= self.end + GRACE


@dataclass(frozen=True, slots=True)
class Preview:
    """What a month holds in one currency as of now."""

    currency: str
    entry_count: int
    accounts: dict[str, int]


def next_period(environment_id: str) -> Period | None:
    """Return the month that is to be closed next; None if nothing was ever booked."""
    environment = Environment.objects.select_related("merchant").get(id=environment_id)
    last = PeriodClose.objects.filter(environment_id=environment_id).order_by("-end_at").first()
    zone = zoneinfo.ZoneInfo(environment.merchant.reporting_timezone)
    if last:
        # Where the zone has changed since, the month begins where the last one ended all the same.
        return _month(last.end_at, last.end_at + timedelta(days=1), zone)
    first = LedgerEntry.objects.filter(environment_id=environment_id).order_by("created_at").first()
    return _month(None, first.created_at, zone) if first else None


def _month(start: datetime | None, within: datetime, zone: zoneinfo.ZoneInfo) -> Period:
    local = within.astimezone(zone)
    begin = datetime(local.year, local.month, 1, tzinfo=zone)
    end = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone)
    # In UTC: by the clocks of a zone, a month with a clock change would seem to have the wrong length.
    return Period(f"{local:%Y-%m}", zone.key, start or begin.astimezone(UTC), end.astimezone(UTC))


def preview(environment_id: str, period: Period) -> list[Preview]:
    """Return what a month holds as of now, by currency: how many entries, and what each account grew by."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT currency, account, SUM(moved), SUM(entries) FROM (
                SELECT currency, debit AS account, amount AS moved, 1 AS entries FROM orders_ledgerentry
                WHERE environment_id = %(environment)s AND created_at >= %(start)s AND created_at < %(end)s
                UNION ALL SELECT currency, credit, -amount, 0 FROM orders_ledgerentry
                WHERE environment_id = %(environment)s AND created_at >= %(start)s AND created_at < %(end)s
            ) AS moves GROUP BY currency, account ORDER BY currency, account
            """,
            {"environment": environment_id, "start": period.start, "end": period.end},
        )
        rows = cursor.fetchall()
    found: dict[str, Preview] = {}
    for currency, account, moved, entries in rows:
        had = found.get(currency, Preview(currency, 0, {}))
        found[currency] = Preview(currency, had.entry_count + int(entries), {**had.accounts, account: int(moved)})
    return list(found.values())


def close_period(
    *, environment_id: str, label: str, reason: str, actor: Actor, at: datetime | None = None
) -> PeriodClose:
    """
    Begin to close a month. A task ends it; from now on nothing is booked into it, and there is no way back.

    :raises PeriodNotNext: if another month is to be closed first, or this one is closed already.
    :raises PeriodNotOver: if it ended less than an hour ago, or not yet.
    :raises PeriodReasonRequired: without a reason.
    """
    at = at or timezone.now()
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or "\0" in reason:
        raise PeriodReasonRequired(param="reason")
    with transaction.atomic():
        Environment.objects.select_for_update(no_key=True).get(id=environment_id)
        period = next_period(environment_id)
        if period is None or period.label != label:
            raise PeriodNotNext
        if not period.may_be_closed(at):
            raise PeriodNotOver
        close = PeriodClose.objects.create(
            environment_id=environment_id,
            label=period.label,
            timezone=period.timezone,
            start_at=period.start,
            end_at=period.end,
            reason=reason,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
        )
        events.record_apart(environment_id, "period.closing", subject=close, actor=actor, label=close.label)
        after_commit(tasks.finish_close, period_id=close.id)
    return close


def finish_close(period_id: str, *, at: datetime | None = None) -> PeriodClose | None:
    """
    Seal a month that is being closed. Return it once it is closed; None while somebody may still be writing.

    Where its journal does not add up it stays open to be looked at: the row says why, and the log says it loudly.
    """
    close = PeriodClose.objects.filter(id=period_id, status="closing").first()
    if close is None:
        return None
    if close.watermark is None:
        with transaction.atomic():
            # Whoever begins from here on finds the month written down.
            PeriodClose.objects.filter(id=period_id, watermark__isnull=True).update(watermark=watermark())
        close.refresh_from_db()
    if not is_settled(close.watermark, [LedgerEntry]):
        return None
    if not close.position:
        close.position = position()
        PeriodClose.objects.filter(id=period_id).update(position=close.position)
    if not has_caught_up(READS_FROM, close.position):
        return None
    try:
        sealed = _seal(close)
    except Disagreement as error:
        log.error("period.does_not_add_up", period_id=close.id, label=close.label, problem=str(error))
        PeriodClose.objects.filter(id=period_id, status="closing").update(problem=str(error))
        return None
    with transaction.atomic():
        close = PeriodClose.objects.select_for_update().get(id=period_id)
        if close.status != "closing":
            return None
        close.entry_count, close.totals, close.hashes = sealed
        close.close(at=at or timezone.now())
        close.save()
        events.record_apart(
            close.environment_id,
            "period.closed",
            subject=close,
            actor=actors.system(close.environment_id),
            label=close.label,
            entry_count=close.entry_count,
        )
    return close


def sweep_periods() -> int:
    """Go on with every month that is being closed; return how many."""
    waiting = list(PeriodClose.objects.filter(status="closing").values_list("id", flat=True))
    for period_id in waiting:
        after_commit(tasks.finish_close, period_id=period_id)
    return len(waiting)


class _Nowhere:
    """A sink for what is only hashed."""

    def write(self, content: bytes) -> None:
        """Let go of it."""


def _seal(close: PeriodClose) -> tuple[int, dict, dict]:
    """Read a month's journal in every currency; return its entries, totals and hashes."""
    journal = types()["journal_v1"]
    count, totals, hashes = 0, {}, {}
    with transaction.atomic(using=READS_FROM):
        freeze(READS_FROM)
        for currency in _currencies(close):
            scope = Scope(close.environment_id, currency, close.start_at, close.end_at, close.timezone, READS_FROM)
            writer = Writer(journal, scope, "csv", _Nowhere())
            for row in journal.rows(scope):
                writer.add(row)
            hashes[currency] = writer.content_sha256
            agree(journal, scope, writer.tally, hashes[currency])
            totals[currency] = writer.tally.totals
            count += writer.tally.rows
    return count, totals, hashes


def _currencies(close: PeriodClose) -> list[str]:
    with connections[READS_FROM].cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT currency FROM orders_ledgerentry"
            " WHERE environment_id = %s AND created_at >= %s AND created_at < %s ORDER BY currency",
            [close.environment_id, close.start_at, close.end_at],
        )
        return [currency for (currency,) in cursor.fetchall()]
