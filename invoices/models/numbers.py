"""Counting documents: per environment and series, without gaps and without repeats."""

import pgtrigger
from django.db import models
from django.db.models import Q

from flint.records import EnvironmentQuerySet


class Series(models.TextChoices):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class NumberSeries(models.Model):
    """
    The last number that an environment gave in one series.

    Locked after the order and before the document, and only inside the transaction that issues it: whatever rolls back
    gives its number back.
    """

    environment = models.ForeignKey("merchants.Environment", on_delete=models.PROTECT, related_name="+")
    series = models.CharField(max_length=12, choices=Series.choices)
    last = models.BigIntegerField(default=0)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "number series"
        constraints = [
            models.UniqueConstraint(fields=["environment", "series"], name="series_once_per_environment"),
            models.CheckConstraint(name="series_counts_up", condition=Q(last__gte=0)),
        ]
        triggers = [
            pgtrigger.Protect(name="series_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="series_counts_by_one",
                operation=pgtrigger.Insert | pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF NEW.last <> (CASE TG_OP WHEN 'UPDATE' THEN OLD.last + 1 ELSE 1 END) THEN
                        RAISE EXCEPTION 'flint guard: the numbers of a series come one after the other'
                            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'series_counts_by_one';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.last}"
