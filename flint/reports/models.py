"""Reports that were asked for, the files that came of them, and the pieces that the files are kept in."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import Record, StatefulRecord


class ReportNotFound(NotFound):
    code = "REPORT_NOT_FOUND"
    message = "No such report in this environment."


class ReportDownloadNotFound(NotFound):
    message = "No such report download in this environment."


class Status(models.TextChoices):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class FailureReason(models.TextChoices):
    GENERATION_FAILED = "generation_failed"
    DATA_UNAVAILABLE = "data_unavailable"
    LIMIT_EXCEEDED = "limit_exceeded"


class Format(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel"
    BEANCOUNT = "beancount", "Beancount"


class Report(StatefulRecord):
    """
    A report that was asked for: one type, one currency, from ``interval_start_at`` until before ``interval_end_at``.

    Whoever holds the lease writes it. ``watermark`` is the number of the transaction that asked for it: older ones
    must have ended before the books are read. ``position`` is how far the main database had written once they had, for
    a replica to come up to. ``totals`` are its control totals
    in minor units, as two independent queries found them; ``content_sha256`` is of its contents in CSV, whatever its
    format, so that equal contents have equal hashes. ``problem`` says to staff why it failed.
    """

    missing = ReportNotFound

    id = PublicIdField(prefix="rep")
    report_type = models.CharField(max_length=40)
    format = models.CharField(max_length=10, choices=Format.choices, default=Format.CSV)
    status = fsm.FSMField(choices=Status.choices, default=Status.PENDING, protected=True)
    currency = models.CharField(max_length=3)
    interval_start_at = models.DateTimeField()
    interval_end_at = models.DateTimeField()
    timezone = models.CharField(max_length=64)
    failure_reason = models.CharField(max_length=20, choices=FailureReason.choices, blank=True)
    problem = models.TextField(blank=True)
    watermark = models.BigIntegerField()
    position = models.CharField(max_length=32, blank=True)
    attempts = models.IntegerField(default=0)
    lease_token = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True)
    row_count = models.BigIntegerField(default=0)
    totals = models.JSONField(default=dict)
    content_sha256 = models.CharField(max_length=64, blank=True)
    finished_at = models.DateTimeField(null=True)
    actor_kind = models.CharField(max_length=12)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="report_interval_runs_forward", condition=Q(interval_start_at__lt=F("interval_end_at"))
            ),
            models.CheckConstraint(
                name="report_has_a_reason_iff_it_failed",
                condition=Q(status=Status.FAILED) & ~Q(failure_reason="")
                | ~Q(status=Status.FAILED) & Q(failure_reason=""),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="report_by_time"),
            models.Index(fields=["created_at"], condition=Q(status=Status.PENDING), name="report_pending"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="report_ends_once",
                field="status",
                transitions=[("pending", "succeeded"), ("pending", "failed")],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.report_type} {self.currency}"

    @property
    def made(self) -> "ReportDownload | None":
        """Its file, exactly when it succeeded."""
        return getattr(self, "download", None)

    @fsm.transition(field=status, source=Status.PENDING, target=Status.SUCCEEDED)
    def succeed(self, *, at: datetime) -> None:
        """Its file is complete, and both ways of adding it up agree."""
        self.finished_at, self.lease_until = at, None

    @fsm.transition(field=status, source=Status.PENDING, target=Status.FAILED)
    def fail(self, *, reason: str, problem: str, at: datetime) -> None:
        """It will not be written any more."""
        self.failure_reason, self.problem = reason, problem
        self.finished_at, self.lease_until = at, None


class ReportDownload(Record):
    """The file of a report that succeeded, for as long as it is kept."""

    missing = ReportDownloadNotFound

    id = PublicIdField(prefix="rdl")
    report = models.OneToOneField(Report, on_delete=models.PROTECT, related_name="download")
    size = models.BigIntegerField()
    expires_at = models.DateTimeField()
    is_erased = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], condition=Q(is_erased=False), name="download_to_erase")]

    def __str__(self) -> str:
        return self.id


class ReportChunk(models.Model):
    """A piece of a report's file. In the database, so that every server can hand it out and every backup has it."""

    id = models.BigAutoField(primary_key=True)
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.IntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(name="chunk_once", fields=["report", "number"])]

    def __str__(self) -> str:
        return f"{self.report_id} {self.number}"
