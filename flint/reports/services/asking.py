"""Asking for a report. It is written by a task; the pending row is the truth, and the sweep finds it again."""

import zoneinfo
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import InvalidInput, TooManyRequests
from flint.merchants.models import Environment
from flint.money import is_known_currency
from flint.reports import tasks
from flint.reports.models import Format, Report
from flint.reports.registry import types
from flint.reports.settling import watermark

LONGEST = timedelta(days=400)
"""A financial year of 53 weeks, with room to spare."""

MOST_PENDING = 5


class InvalidReportType(InvalidInput):
    code = "INVALID_REPORT_TYPE"
    message = "There is no such type of report here."


class InvalidReportFormat(InvalidInput):
    code = "INVALID_REPORT_FORMAT"
    message = "This type of report does not come in that format."


class InvalidReportInterval(InvalidInput):
    code = "INVALID_REPORT_INTERVAL"
    message = "An interval ends after it starts."


class ReportIntervalIncomplete(InvalidInput):
    code = "REPORT_INTERVAL_INCOMPLETE"
    message = "The interval is not over yet. Ask again once it has ended, or for one that ends earlier."


class ReportIntervalTooLarge(InvalidInput):
    code = "REPORT_INTERVAL_TOO_LARGE"
    message = f"An interval has at most {LONGEST.days} days. Ask for several reports."


class InvalidReportCurrency(InvalidInput):
    code = "INVALID_CURRENCY"
    message = "This is not an ISO 4217 currency."


class InvalidReportTimezone(InvalidInput):
    code = "INVALID_TIMEZONE"
    message = "This is not a time zone of the IANA database."


class TooManyPendingReports(TooManyRequests):
    code = "TOO_MANY_PENDING_REPORTS"
    message = f"At most {MOST_PENDING} reports are written at a time. Wait for one to end."


def create_report(
    *,
    report_type: str,
    currency: str,
    start: datetime,
    end: datetime,
    actor: Actor,
    zone: str = "UTC",
    format: str = Format.CSV,
    at: datetime | None = None,
) -> Report:
    """
    Ask for a report of an interval that is over; ``start`` belongs to it, ``end`` does not any more.

    :raises InvalidReportType, InvalidReportFormat, InvalidReportCurrency, InvalidReportTimezone: by what they say.
    :raises InvalidReportInterval, ReportIntervalTooLarge, ReportIntervalIncomplete: likewise.
    :raises TooManyPendingReports: if others of this environment are still being written.
    """
    at = at or timezone.now()
    found = types().get(report_type)
    if found is None:
        raise InvalidReportType(param="report_type")
    if format not in found.formats:
        raise InvalidReportFormat(param="format")
    if not is_known_currency(currency):
        raise InvalidReportCurrency(param="currency")
    if zone not in zoneinfo.available_timezones():
        raise InvalidReportTimezone(param="timezone")
    if start >= end:
        raise InvalidReportInterval(param="interval_end_at")
    if end - start > LONGEST:
        raise ReportIntervalTooLarge(param="interval_start_at")
    if end > at:
        raise ReportIntervalIncomplete(param="interval_end_at")
    with transaction.atomic():
        # One at a time, so that the pending ones are counted right.
        Environment.objects.select_for_update(no_key=True).get(id=actor.environment_id)
        if Report.objects.of(actor).filter(status="pending").count() >= MOST_PENDING:
            raise TooManyPendingReports(limit=MOST_PENDING)
        report = Report.objects.create(
            environment_id=actor.environment_id,
            report_type=report_type,
            format=format,
            currency=currency,
            interval_start_at=start,
            interval_end_at=end,
            timezone=zone,
            watermark=watermark(),
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
        )
        after_commit(tasks.run_report, report_id=report.id)
    return report
