"""Months that are closed: from then on nothing is booked into them any more, and the database sees to it."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import StatefulRecord


class PeriodNotFound(NotFound):
    message = "No such month in this environment."


class PeriodStatus(models.TextChoices):
    CLOSING = "closing"
    CLOSED = "closed"


class PeriodClose(StatefulRecord):
    """
    A month of an environment's books, by the clocks of ``timezone``, that is closed or about to be.

    From the moment it is written down no entry may be booked before ``end_at``. ``watermark`` is the number of a
    transaction that began after that: once all older ones have ended, the month holds what it will ever hold.
    ``position`` is how far the main database had written by then, for a replica to come up to. Then the month's
    journal is read, and ``totals`` and ``hashes`` keep, by currency, what it adds up to and the hash of its contents.
    ``problem`` says what is in the way, should the journal not add up.
    """

    missing = PeriodNotFound

    id = PublicIdField(prefix="pcl")
    label = models.CharField(max_length=7)
    timezone = models.CharField(max_length=64)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    status = fsm.FSMField(choices=PeriodStatus.choices, default=PeriodStatus.CLOSING, protected=True)
    reason = models.TextField()
    watermark = models.BigIntegerField(null=True)
    position = models.CharField(max_length=32, blank=True)
    entry_count = models.BigIntegerField(default=0)
    totals = models.JSONField(default=dict)
    hashes = models.JSONField(default=dict)
    problem = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True)
    actor_kind = models.CharField(max_length=12)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name_plural = "closed months"
        constraints = [
            models.UniqueConstraint(fields=["environment", "label"], name="period_once"),
            models.UniqueConstraint(fields=["environment", "end_at"], name="period_end_once"),
            models.CheckConstraint(name="period_runs_forward", condition=Q(start_at__lt=F("end_at"))),
            models.CheckConstraint(
                name="period_is_closed_at_a_time",
                condition=Q(status=PeriodStatus.CLOSED, closed_at__isnull=False)
                | Q(status=PeriodStatus.CLOSING, closed_at__isnull=True),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="period_is_never_opened_again", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="period_that_is_closed_stays_as_it_is",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status=PeriodStatus.CLOSED),
            ),
            pgtrigger.ReadOnly(
                name="period_is_never_moved",
                fields=["environment", "label", "timezone", "start_at", "end_at", "reason"],
            ),
            pgtrigger.Trigger(
                name="period_follows_the_last_and_is_over",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("last", "timestamptz")],
                func="""
                    SELECT MAX(end_at) INTO last FROM orders_periodclose WHERE environment_id = NEW.environment_id;
                    IF NEW.end_at > clock_timestamp() OR NEW.start_at <> COALESCE(last, NEW.start_at) THEN
                        RAISE EXCEPTION 'period % to % follows % and must be over', NEW.start_at, NEW.end_at, last
                            USING ERRCODE = 'integrity_constraint_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @fsm.transition(field=status, source=PeriodStatus.CLOSING, target=PeriodStatus.CLOSED)
    def close(self, *, at: datetime) -> None:
        """All that belongs to it is in, and adds up."""
        self.closed_at, self.problem = at, ""


def refuses_closed_periods(name: str) -> pgtrigger.Trigger:
    """
    Make a trigger that keeps rows from being written into a month that is closed or closing.

    It asks once per statement, after its rows are in: whoever closes writes the month down first and then waits for
    those who did not see that yet.
    """
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        operation=pgtrigger.Insert,
        when=pgtrigger.After,
        referencing=pgtrigger.Referencing(new="written"),
        declare=[("refused", "record")],
        func="""
            SELECT written.created_at, period.label INTO refused
                FROM written JOIN orders_periodclose period
                ON period.environment_id = written.environment_id AND written.created_at < period.end_at
                LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'flint guard: nothing is booked at % any more, % is closed',
                    refused.created_at, refused.label
                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_in_an_open_period';
            END IF;
            RETURN NULL;
        """,
    )
