"""Asking for reports in tests, and reading what comes of them."""

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from flint.merchants.models import Environment
from flint.reports import services
from flint.reports.models import Report
from flint.testing.stories import actor_in

COMMITTED = {"transaction": True, "databases": ["default", "reports"]}
"""What ``django_db`` needs for a report: it is read by another connection, which sees only what is committed."""


@dataclass
class Read:
    """A finished report: its rows by column, and what it says of itself at its end."""

    report: Report
    content: bytes
    rows: list[dict[str, str]]
    about: dict[str, str]

    def column(self, name: str) -> list[str]:
        return [row[name] for row in self.rows]

    def total(self, name: str) -> int:
        """Add up a money column of two decimals, in minor units."""
        return sum(minor(row[name]) for row in self.rows)


def minor(text: str) -> int:
    """Read money with two decimals as minor units."""
    return int(text.replace(".", "")) if text else 0


def made(environment: Environment, report_type: str, **more: Any) -> Report:
    """Ask for a report of all that there is, unless told otherwise, and have it written."""
    at = timezone.now()
    wanted = {
        "currency": "EUR",
        "start": at - timedelta(days=399),
        "end": at,
        "actor": actor_in(environment),
        **more,
    }
    report = services.create_report(report_type=report_type, **wanted)
    return written(report)


def written(report: Report) -> Report:
    """Have a pending report written, some time after its interval."""
    services.run_report(report.id, at=max(timezone.now(), report.interval_end_at) + timedelta(minutes=1))
    report.refresh_from_db()
    return report


def content_of(report: Report) -> bytes:
    """Return a report's file."""
    return b"".join(bytes(chunk.content) for chunk in report.chunks.order_by("number"))


def read(report: Report) -> Read:
    """Read a report in CSV, and hold it against its own hash."""
    assert report.status == "succeeded", (report.failure_reason, report.problem)
    content = content_of(report)
    body, _, end = content.partition(b"# report,")
    assert hashlib.sha256(body).hexdigest() == report.content_sha256
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    lines = csv.reader(io.StringIO("# report," + end.decode(), newline=""))
    return Read(report, content, rows, {name.removeprefix("# "): value for name, value in lines})


def report(environment: Environment, report_type: str, **more: Any) -> Read:
    """Ask for a report, have it written, and read it."""
    return read(made(environment, report_type, **more))


def month(year: int, number: int, zone: Any) -> tuple[datetime, datetime]:
    """Return when a month begins and ends by a zone's clocks."""
    after = (year + number // 12, number % 12 + 1)
    return datetime(year, number, 1, tzinfo=zone), datetime(*after, 1, tzinfo=zone)
