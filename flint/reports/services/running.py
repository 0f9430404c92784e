"""
Writing a report: a worker takes its lease, reads the books in one snapshot, and hands the file over piece by piece.

Each piece is stored under the report's lock and only by whoever has the lease, so that a worker that was silent for too
long and comes back writes nothing into what its successor writes.
"""

import uuid
from datetime import datetime, timedelta

import structlog
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils import timezone

from flint import actors
from flint.celery import after_commit
from flint.events import services as events
from flint.reports import tasks
from flint.reports.models import FailureReason, Report, ReportChunk, ReportDownload
from flint.reports.registry import ReportType, Scope, Tally, differences, problems_of, types
from flint.reports.settling import has_caught_up, is_over, is_settled, position
from flint.reports.writing import Writer
from flint.reports.writing.sheets import TooManyRows

log = structlog.get_logger(__name__)

READS_FROM = "reports"
"""The database that reports read: a replica if there is one, else the main one by a connection of its own."""

LEASE = timedelta(minutes=2)
"""How long a worker may be silent before somebody else takes its report."""

MOST_ATTEMPTS = 3
MOST_ROWS = 5_000_000
KEPT = timedelta(days=30)
PIECE = 256 * 1024
BEAT_ROWS = 20_000
SWEPT_AFTER = timedelta(seconds=3)
BATCH = 50


class TakenOver(Exception):
    """Another worker has the report now."""


class LimitExceeded(Exception):
    """It would become too large."""


class Disagreement(Exception):
    """Two ways of adding up the same books differ; the message says where."""


def run_report(report_id: str, *, at: datetime | None = None, most_rows: int = MOST_ROWS) -> Report | None:
    """
    Write a pending report. Return it as it ended; None if somebody else has it, or its books are not complete yet.

    A failure of the machine leaves it pending, to be tried again by the sweep, for a few times.
    """
    at = at or timezone.now()
    if not _is_ready(report_id, at):
        return None
    report = _take(report_id, at)
    if report is None:
        return None
    try:
        return _write(report, most_rows)
    except TakenOver:
        log.warning("report.taken_over", report_id=report.id)
        return None
    except (LimitExceeded, TooManyRows) as error:
        return _fail(report, FailureReason.LIMIT_EXCEEDED, str(error))
    except Disagreement as error:
        log.error("report.does_not_add_up", report_id=report.id, report_type=report.report_type, problem=str(error))
        return _fail(report, FailureReason.DATA_UNAVAILABLE, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the row tells of it, and the sweep tries again.
        log.exception("report.broke_off", report_id=report.id, attempts=report.attempts)
        if report.attempts >= MOST_ATTEMPTS:
            return _fail(report, FailureReason.GENERATION_FAILED, f"{type(error).__name__} at the last attempt.")
        Report.objects.filter(id=report.id, lease_token=report.lease_token).update(lease_until=timezone.now())
        return None


def sweep(*, at: datetime | None = None) -> int:
    """Start what waits and has no worker: its task was lost, its worker died, or its books were not complete."""
    at = at or timezone.now()
    waiting = Report.objects.filter(status="pending", created_at__lte=at - SWEPT_AFTER).order_by("created_at")
    found = [report.id for report in waiting[:BATCH] if not report.lease_until or report.lease_until <= at]
    for report_id in found:
        after_commit(tasks.run_report, report_id=report_id)
    return len(found)


def _is_ready(report_id: str, at: datetime) -> bool:
    """Tell whether all that belongs into a report is where it will be read. If not, it is a matter of seconds."""
    report = Report.objects.filter(id=report_id, status="pending").first()
    if report is None:
        return False
    report_type = types().get(report.report_type)
    if report_type is None:
        return True
    if not (is_over(report.interval_end_at, at) and is_settled(report.watermark, report_type.watches)):
        return False
    if not report.position:
        report.position = position()
        Report.objects.filter(id=report_id).update(position=report.position)
    return has_caught_up(READS_FROM, report.position)


def _take(report_id: str, at: datetime) -> Report | None:
    with transaction.atomic():
        report = Report.objects.select_for_update(of=("self",)).filter(id=report_id, status="pending").first()
        if report is None or (report.lease_until and report.lease_until > at):
            return None
        report_type = types().get(report.report_type)
        if report_type is None or report.attempts >= MOST_ATTEMPTS:
            problem = "It was given up after several attempts." if report_type else "Its type is not known any more."
            _end(report, reason=FailureReason.GENERATION_FAILED, problem=problem)
            return None
        report.lease_token, report.lease_until = str(uuid.uuid4()), timezone.now() + LEASE
        report.attempts += 1
        report.row_count = 0
        report.save(update_fields=["lease_token", "lease_until", "attempts", "row_count", "updated_at"])
        ReportChunk.objects.filter(report=report).delete()
    return report


def _write(report: Report, most_rows: int) -> Report:
    report_type = types()[report.report_type]
    scope = scope_of(report)
    store = _Store(report)
    with transaction.atomic(using=READS_FROM):
        freeze(READS_FROM)
        writer = Writer(report_type, scope, report.format, store)
        for row in report_type.rows(scope):
            writer.add(row)
            if writer.tally.rows % BEAT_ROWS == 0:
                if writer.tally.rows > most_rows:
                    raise LimitExceeded(f"It would have more than {most_rows} rows.")
                store.beat(writer.tally.rows)
        if writer.tally.rows > most_rows:
            raise LimitExceeded(f"It would have more than {most_rows} rows.")
        agree(report_type, scope, writer.tally, writer.content_sha256)
        digest = writer.end()
    store.flush()
    return _succeed(report, writer.tally, digest, store.size)


def agree(report_type: ReportType, scope: Scope, tally: Tally, content_sha256: str) -> None:
    """:raises Disagreement: if the rows do not add up to the books, or are not what they once were."""
    found = differences(tally.totals, report_type.controls(scope))
    found += problems_of(scope, report_type.name, content_sha256)
    if found:
        raise Disagreement("; ".join(found))


def scope_of(report: Report) -> Scope:
    """Return what a report is about."""
    return Scope(
        environment_id=report.environment_id,
        currency=report.currency,
        start=report.interval_start_at,
        end=report.interval_end_at,
        timezone=report.timezone,
        using=READS_FROM,
    )


def freeze(using: str) -> None:
    """Have every statement of the open transaction see the same moment, and none of them write."""
    if using == DEFAULT_DB_ALIAS:
        raise ValueError("reports have a connection of their own")
    with connections[using].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class _Store:
    """Keeps what is written in pieces, each in a transaction of its own."""

    def __init__(self, report: Report):
        self._report, self._waiting, self._length = report, [], 0
        self._number, self.size = 0, 0

    def write(self, content: bytes) -> None:
        """Take some of the file."""
        self._waiting.append(content)
        self._length += len(content)
        if self._length >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Store what waits."""
        if not self._waiting:
            return
        content = b"".join(self._waiting)
        with transaction.atomic():
            self._keep_lease()
            ReportChunk.objects.create(report=self._report, number=self._number, content=content)
        self._number += 1
        self.size += len(content)
        self._waiting, self._length = [], 0

    def beat(self, rows: int) -> None:
        """Show how far it got."""
        self._report.row_count = rows
        with transaction.atomic():
            self._keep_lease()

    def _keep_lease(self) -> None:
        mine = Report.objects.filter(id=self._report.id, lease_token=self._report.lease_token, status="pending")
        # The update locks the row until the piece is in.
        if not mine.update(lease_until=timezone.now() + LEASE, row_count=self._report.row_count):
            raise TakenOver


def _locked(report: Report) -> Report:
    mine = Report.objects.select_for_update(of=("self",)).filter(lease_token=report.lease_token, status="pending")
    found = mine.filter(id=report.id).first()
    if found is None:
        raise TakenOver
    return found


def _succeed(report: Report, tally: Tally, digest: str, size: int) -> Report:
    with transaction.atomic():
        report = _locked(report)
        now = timezone.now()
        report.row_count, report.totals, report.content_sha256 = tally.rows, tally.totals, digest
        report.succeed(at=now)
        report.save()
        ReportDownload.objects.create(
            environment_id=report.environment_id, report=report, size=size, expires_at=now + KEPT
        )
        events.record_apart(
            report.environment_id,
            "report.succeeded",
            subject=report,
            actor=actors.system(report.environment_id),
            report_type=report.report_type,
            row_count=report.row_count,
        )
    return report


def _fail(report: Report, reason: str, problem: str) -> Report | None:
    with transaction.atomic():
        try:
            report = _locked(report)
        except TakenOver:
            return None
        _end(report, reason=reason, problem=problem)
    return report


def _end(report: Report, *, reason: str, problem: str) -> None:
    report.fail(reason=reason, problem=problem, at=timezone.now())
    report.save()
    ReportChunk.objects.filter(report=report).delete()
    events.record_apart(
        report.environment_id,
        "report.failed",
        subject=report,
        actor=actors.system(report.environment_id),
        report_type=report.report_type,
        reason=reason,
    )
