"""Handing a finished report out: by a signed address that works for a short time and needs no credentials."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone

from flint.errors import InvalidCall
from flint.reports.models import Report, ReportChunk, ReportDownload
from flint.reports.writing import CONTENT_TYPES

SALT = "flint.report-file"
GOOD_FOR = timedelta(minutes=5)
BATCH = 100
ENDINGS = {"csv": "csv", "xlsx": "xlsx", "beancount": "beancount"}


class ReportDownloadExpired(InvalidCall):
    code, status = "REPORT_DOWNLOAD_EXPIRED", 410
    message = "The file is not kept any longer. Ask for the report again."


def signed_url(download: ReportDownload, *, at: datetime | None = None) -> str:
    """
    Return an address of the file that works for a few minutes, for whoever has it.

    :raises ReportDownloadExpired: if the file is not kept any more.
    """
    refuse_if_expired(download, at=at)
    token = signing.TimestampSigner(salt=SALT).sign(download.id)
    return settings.BASE_URL + reverse("report-file", args=[token])


def refuse_if_expired(download: ReportDownload, *, at: datetime | None = None) -> None:
    """:raises ReportDownloadExpired: if the file is not kept any more."""
    if download.is_erased or download.expires_at <= (at or timezone.now()):
        raise ReportDownloadExpired()


def opened(token: str) -> ReportDownload | None:
    """Return what a signed address is of; None if it is not ours, or was given too long ago."""
    try:
        download_id = signing.TimestampSigner(salt=SALT).unsign(token, max_age=GOOD_FOR)
    except signing.BadSignature:
        return None
    return ReportDownload.objects.select_related("report").filter(id=download_id).first()


def response_of(download: ReportDownload) -> StreamingHttpResponse:
    """Return the file as an answer, read piece by piece."""
    report = download.report
    response = StreamingHttpResponse(_pieces(report.id), content_type=CONTENT_TYPES[report.format])
    response["Content-Length"] = str(download.size)
    response["Content-Disposition"] = f'attachment; filename="{filename(report)}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    return response


def filename(report: Report) -> str:
    """Name a report's file by what it is of."""
    start, end = (at.strftime("%Y%m%d") for at in (report.interval_start_at, report.interval_end_at))
    return f"{report.report_type}-{report.currency}-{start}-{end}-{report.id[-6:]}.{ENDINGS[report.format]}"


def _pieces(report_id: str) -> Iterator[bytes]:
    number = 0
    while (piece := ReportChunk.objects.filter(report_id=report_id, number=number).first()) is not None:
        yield bytes(piece.content)
        number += 1


def erase_expired(*, at: datetime | None = None) -> int:
    """Erase the files whose time is over. The reports themselves stay, with their totals and hashes."""
    at = at or timezone.now()
    due = ReportDownload.objects.filter(is_erased=False, expires_at__lte=at).order_by("expires_at")
    ids = list(due.values_list("id", "report_id")[:BATCH])
    for download_id, report_id in ids:
        with transaction.atomic():
            ReportDownload.objects.filter(id=download_id).update(is_erased=True, updated_at=at)
            ReportChunk.objects.filter(report_id=report_id).delete()
    return len(ids)
