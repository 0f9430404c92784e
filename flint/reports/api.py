"""Reports over the wire: ask for one, wait until it has ended, follow its download."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse

from flint.api.fields import EnumField, IdField, StrictInteger, StrictString, TimestampField, TimezoneField
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import ListQuery
from flint.api.serializers import Input, Output
from flint.api.views import ApiView
from flint.reports import services
from flint.reports.models import FailureReason, Format, Report, ReportDownload, Status
from flint.reports.registry import types

READ, WRITE = "reports.read", "reports.write"


class DownloadOutput(Output):
    """Where a finished report's file is, and until when."""

    report_download_id = IdField("rdl", source="id")
    url = StrictString()
    expires_at = TimestampField()


class ReportOutput(Output):
    """
    A report. `download` is there exactly when it succeeded, `failure_reason` exactly when it failed.

    `format`, `row_count` and `content_sha256` are additions of Flint's. The hash is of the contents as CSV, whatever
    the format, so that equal contents have equal hashes.
    """

    report_id = IdField("rep", source="id")
    report_type = StrictString()
    status = EnumField(Status.values)
    format = EnumField(Format.values)
    currency = StrictString()
    interval_start_at = TimestampField()
    interval_end_at = TimestampField()
    timezone = StrictString()
    created_at = TimestampField()
    download = DownloadOutput(required=False, source="shown.download")
    failure_reason = EnumField(FailureReason.values, required=False, source="shown.failure_reason")
    row_count = StrictInteger(required=False, minimum=0, source="shown.row_count")
    content_sha256 = StrictString(required=False, source="shown.content_sha256")

    def to_representation(self, instance: Report) -> dict[str, Any]:
        made = instance.made
        instance.shown = {
            "download": made and {"id": made.id, "url": download_url(made), "expires_at": made.expires_at},
            "failure_reason": instance.failure_reason or None,
            "row_count": instance.row_count if made else None,
            "content_sha256": instance.content_sha256 or None,
        }
        return super().to_representation(instance)


def download_url(download: ReportDownload) -> str:
    """Return the lasting address of a download; it wants a key, and leads on to the file."""
    return f"{settings.BASE_URL}/v1/report-downloads/{download.id}"


class ReportInput(Input):
    """What to report on. The interval's start belongs to it, its end does not any more."""

    report_type = EnumField(sorted(types()), code="INVALID_REPORT_TYPE")
    currency = StrictString(pattern="[A-Z]{3}", code="INVALID_CURRENCY")
    interval_start_at = TimestampField(code="INVALID_INTERVAL_START_AT")
    interval_end_at = TimestampField(code="INVALID_INTERVAL_END_AT")
    timezone = TimezoneField(required=False, default="UTC")
    format = EnumField(Format.values, required=False, default=Format.CSV, code="INVALID_REPORT_FORMAT")


class ReportQuery(ListQuery):
    """Reports, newest first."""


class ReportCollection(ApiView):
    tag = "Reports"
    scopes = {"GET": READ, "POST": WRITE}
    inputs = {"POST": ReportInput}
    queries = {"GET": ReportQuery}
    outputs = {"GET": [ReportOutput], "POST": ReportOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_reports", "POST": "create_report"}
    codes = {
        "POST": [
            "INVALID_REPORT_TYPE",
            "INVALID_REPORT_FORMAT",
            "INVALID_CURRENCY",
            "INVALID_REPORT_INTERVAL",
            "REPORT_INTERVAL_INCOMPLETE",
            "REPORT_INTERVAL_TOO_LARGE",
            "TOO_MANY_PENDING_REPORTS",
        ]
    }

    def get(self, request):
        """List reports, newest first."""
        rows = Report.objects.of(request.actor).select_related("download")
        return self.reply_page(paginate(rows, self.query()))

    @idempotent
    def post(self, request):
        """Ask for a report. It is written in the background; wait until its status is no longer `pending`."""
        data = self.validated()
        report = services.create_report(
            report_type=data["report_type"],
            currency=data["currency"],
            start=data["interval_start_at"],
            end=data["interval_end_at"],
            zone=data["timezone"],
            format=data["format"],
            actor=request.actor,
        )
        return self.reply(report)


class ReportView(ApiView):
    tag = "Reports"
    scopes = {"GET": READ}
    outputs = {"GET": ReportOutput}
    names = {"GET": "get_report"}
    codes = {"GET": ["REPORT_NOT_FOUND"]}

    def get(self, request, report_id: str):
        """Get a report."""
        return self.reply(Report.objects.of(request.actor).select_related("download").find(id=report_id))


class ReportDownloadView(ApiView):
    tag = "Reports"
    scopes = {"GET": READ}
    statuses = {"GET": 307}
    names = {"GET": "get_report_download"}
    codes = {"GET": ["REPORT_DOWNLOAD_EXPIRED"]}
    leads_to = "The file, at an address that works for a few minutes and needs no credentials."

    def get(self, request, report_download_id: str):
        """Get a report's file: an address to follow, without credentials, within a few minutes."""
        download = ReportDownload.objects.of(request.actor).find(id=report_download_id)
        response = HttpResponse(status=307)
        response["Location"] = services.signed_url(download)
        response["Cache-Control"] = "no-store"
        return response
