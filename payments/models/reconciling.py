"""Comparing our books with the processor's: each comparison, what it saw on its way, and what it found to differ."""

from datetime import datetime

import django_fsm as fsm
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.money import Money
from flint.records import EnvironmentQuerySet, Record, StatefulRecord


class ReconcileRunNotFound(NotFound):
    message = "No such reconciliation in this environment."


class ReconcileDifferenceNotFound(NotFound):
    message = "No such difference in this environment."


class RunStatus(models.TextChoices):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ReconcileRun(StatefulRecord):
    """
    One comparison of an environment with its processor over ``[since, until)``. One at a time, by constraint.

    ``counts`` is by kind of object: compared, imported, differing. ``cursor`` is how far it came, so that it can be
    taken up again. ``is_routine`` tells one of the rows that leave no gap from one for which somebody chose a window.
    ``lease_until`` is when its worker counts as dead, ``lease_token`` names that worker.
    """

    missing = ReconcileRunNotFound

    id = PublicIdField(prefix="rcr")
    processor = models.CharField(max_length=32)
    status = fsm.FSMField(choices=RunStatus.choices, default=RunStatus.RUNNING, protected=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    is_routine = models.BooleanField(default=True)
    actor_kind = models.CharField(max_length=12)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)
    counts = models.JSONField(default=dict)
    cursor = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.CharField(max_length=36, blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "reconciliation"
        constraints = [
            models.UniqueConstraint(
                name="reconcile_one_at_a_time", fields=["environment"], condition=Q(status=RunStatus.RUNNING)
            ),
            models.CheckConstraint(name="reconcile_window_not_empty", condition=Q(since__lt=F("until"))),
        ]
        indexes = [models.Index(fields=["environment", "status", "until"], name="reconcile_by_window")]

    def __str__(self) -> str:
        return f"{self.since:%d %b %Y %H:%M} to {self.until:%d %b %Y %H:%M}"

    def counted(self, name: str) -> int:
        """Return the sum of one count over all kinds."""
        return sum(counts.get(name, 0) for counts in self.counts.values())

    @fsm.transition(field=status, source=RunStatus.RUNNING, target=RunStatus.SUCCEEDED)
    def succeed(self, *, at: datetime) -> None:
        """Everything in the window was looked at."""
        self.finished_at, self.lease_until, self.lease_token, self.error = at, None, "", ""

    @fsm.transition(field=status, source=RunStatus.RUNNING, target=RunStatus.FAILED)
    def fail(self, *, error: str, at: datetime) -> None:
        """It broke off; what it saw until then stands."""
        self.finished_at, self.lease_until, self.lease_token, self.error = at, None, "", error

    @fsm.transition(field=status, source=RunStatus.FAILED, target=RunStatus.RUNNING)
    def take_up(self) -> None:
        """Go on where it broke off."""
        self.finished_at, self.error = None, ""


class ReconcileSighting(models.Model):
    """An object that the processor listed in a run that is not over: what is left of ours was not listed."""

    run = models.ForeignKey(ReconcileRun, on_delete=models.CASCADE, related_name="sightings")
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(name="sighting_once", fields=["run", "kind", "reference"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class DifferenceQuerySet(EnvironmentQuerySet):
    """Differences; the open ones are the work list."""

    def open(self) -> "DifferenceQuerySet":
        """Keep to what nobody has settled or waved through yet."""
        return self.filter(resolved_at__isnull=True, ignored_at__isnull=True)


class ReconcileDifference(Record):
    """
    Something that the processor and Flint tell differently, and that Flint would not settle by itself.

    One row per object and problem. It is resolved when the two agree again; ignored by a person who says why, until
    the amounts change. Amounts in minor units, each in its own currency; none where there is nothing to name.
    """

    missing = ReconcileDifferenceNotFound
    objects = DifferenceQuerySet.as_manager()

    id = PublicIdField(prefix="rdf")
    processor = models.CharField(max_length=32)
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=255)
    problem = models.CharField(max_length=32)
    text = models.TextField()
    our_amount = models.BigIntegerField(null=True)
    our_currency = models.CharField(max_length=3, blank=True)
    their_amount = models.BigIntegerField(null=True)
    their_currency = models.CharField(max_length=3, blank=True)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="+")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    ignored_at = models.DateTimeField(null=True)
    ignored_reason = models.TextField(blank=True)
    ignored_by = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name = "difference"
        constraints = [
            models.UniqueConstraint(
                name="difference_once", fields=["environment", "processor", "kind", "reference", "problem"]
            ),
            models.CheckConstraint(
                name="difference_ignored_for_a_reason",
                condition=Q(ignored_at__isnull=True) | (~Q(ignored_reason="") & ~Q(ignored_by="")),
            ),
        ]
        indexes = [
            models.Index(
                fields=["environment", "id"],
                condition=Q(resolved_at__isnull=True, ignored_at__isnull=True),
                name="difference_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}: {self.problem}"

    @property
    def status(self) -> str:
        """Return ``open``, ``ignored`` or ``resolved``."""
        if self.resolved_at:
            return "resolved"
        return "ignored" if self.ignored_at else "open"

    @property
    def our_money(self) -> Money | None:
        return None if self.our_amount is None else Money(self.our_amount, self.our_currency)

    @property
    def their_money(self) -> Money | None:
        return None if self.their_amount is None else Money(self.their_amount, self.their_currency)
