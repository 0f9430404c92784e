"""What is told of reports: that one has ended."""

from typing import Any

from flint.api.serializers import shared
from flint.events.webhooks import Fact, tells
from flint.reports.models import Report

READ = "reports.read"
SAMPLE = {
    "report_id": "rep_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "report_type": "orders_itemized_v1",
    "format": "csv",
    "currency": "EUR",
    "interval_start_at": "2026-08-01T00:00:00.000Z",
    "interval_end_at": "2026-09-01T00:00:00.000Z",
    "timezone": "UTC",
    "created_at": "2026-09-07T12:00:00.000Z",
}
DOWNLOAD = {
    "report_download_id": "rdl_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "url": "https://pay.example.com/v1/report-downloads/rdl_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "expires_at": "2026-10-07T12:00:00.000Z",
}
SUCCEEDED = {**SAMPLE, "status": "succeeded", "download": DOWNLOAD}
FAILED = {**SAMPLE, "status": "failed", "failure_reason": "data_unavailable"}


def report_of(fact: Fact) -> dict[str, Any]:
    """Return the report that a fact is about, as the API shows it."""
    from flint.reports.api import ReportOutput

    report = Report.objects.of(fact.actor).select_related("download").find(id=fact.event.subject_id)
    return shared(ReportOutput).to_representation(report)


@tells("report.succeeded", on="report.succeeded", scope=READ, sample=SUCCEEDED)
def report_succeeded(fact: Fact) -> dict[str, Any]:
    return report_of(fact)


@tells("report.failed", on="report.failed", scope=READ, sample=FAILED)
def report_failed(fact: Fact) -> dict[str, Any]:
    return report_of(fact)
