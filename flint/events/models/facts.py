"""What happened, once and for good. Histories, activities and outgoing messages are all renderings of these rows."""

import pgtrigger
from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet


class WrittenByTheDatabase(models.BooleanField):
    """A truth that a trigger finds out; it comes back with the statement that writes the row."""

    db_returning = True


class Event(models.Model):
    """
    One fact about one order, numbered within it without gaps, with the order's amounts after it.

    A fact about no order, such as a payout or a saved card, stands by itself: without a number, amounts or currency.
    Append-only: the database refuses to change or delete one. ``data`` holds the fact's own particulars, ids and minor
    units, never secrets or personal data.

    ``is_awaited`` is the database's own word that somebody listens where it happened. It then puts the event into the
    queue of those to be told, ``UntoldEvent``, in the same statement, so that none is lost and nobody else is burdened.
    """

    id = PublicIdField(prefix="evt")
    environment = models.ForeignKey("merchants.Environment", on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="events")
    sequence = models.IntegerField(null=True)
    type = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=40)
    actor_kind = models.CharField(max_length=12)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=255, blank=True)
    command_key = models.CharField(max_length=320, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    total_amount = models.BigIntegerField(default=0)
    paid_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)
    refund_pending_amount = models.BigIntegerField(default=0)
    credit_amount = models.BigIntegerField(default=0)
    charged_back_amount = models.BigIntegerField(default=0)
    balance_amount = models.BigIntegerField(default=0)
    balance_delta_amount = models.BigIntegerField(default=0)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    is_awaited = WrittenByTheDatabase(default=False, editable=False)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="event_number_within_order"),
            models.CheckConstraint(
                name="event_has_a_number_iff_it_has_an_order",
                condition=Q(order__isnull=True, sequence__isnull=True) | Q(order__isnull=False, sequence__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["environment", "created_at"], name="event_by_time")]
        triggers = [
            pgtrigger.Protect(name="event_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="event_without_gaps",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("last", "integer")],
                func="""
                    IF NEW.order_id IS NULL THEN
                        RETURN NEW;
                    END IF;
                    SELECT COALESCE(MAX(sequence), 0) INTO last FROM events_event WHERE order_id = NEW.order_id;
                    IF NEW.sequence <> last + 1 THEN
                        RAISE EXCEPTION 'event % of order % comes after %', NEW.sequence, NEW.order_id, last
                            USING ERRCODE = 'integrity_constraint_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="event_is_awaited",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func="""
                    NEW.is_awaited := EXISTS (
                        SELECT FROM events_webhookfeed feed
                        WHERE feed.environment_id = NEW.environment_id AND feed.is_open
                    );
                    IF NEW.is_awaited THEN
                        INSERT INTO events_untoldevent (event_id, environment_id, tries, error)
                            VALUES (NEW.id, NEW.environment_id, 0, '');
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}" if self.sequence else self.type


class EventTally(models.Model):
    """
    How many events of a type there have been, for metrics: counted as they come in, so that nothing is counted twice.

    The newest event counted is the greatest ``last_event_id`` of all rows. Events themselves are the truth.
    """

    type = models.CharField(max_length=64)
    mode = models.CharField(max_length=4)
    count = models.BigIntegerField(default=0)
    last_event_id = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(name="event_tally_once", fields=["type", "mode"])]

    def __str__(self) -> str:
        return f"{self.type} {self.mode}: {self.count}"
