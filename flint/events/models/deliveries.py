"""Telling one endpoint of one event: how far it got, and every try."""

from datetime import datetime

import django_fsm as fsm
import pgtrigger
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.events.models.webhooks import WebhookEndpoint, WebhookEvent
from flint.ids import PublicIdField
from flint.records import StatefulRecord

MAX_ATTEMPTS = 9


class WebhookDeliveryNotFound(NotFound):
    message = "No such webhook delivery in this environment."


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class AttemptStatus(models.TextChoices):
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Trigger(models.TextChoices):
    AUTOMATIC_DELIVERY = "automatic_delivery"
    AUTOMATIC_RETRY = "automatic_retry"
    MANUAL_RESEND = "manual_resend"
    TEST_EVENT = "test_event"


class Diagnosis(models.TextChoices):
    TIMEOUT = "timeout"
    DNS_ERROR = "dns_error"
    TLS_ERROR = "tls_error"
    CONNECTION_ERROR = "connection_error"
    BLOCKED_TARGET = "blocked_target"
    REQUEST_ERROR = "request_error"
    HTTP_ERROR = "http_error"


D = DeliveryStatus


class WebhookDelivery(StatefulRecord):
    """
    One event on its way to one endpoint, once each.

    ``due_at`` is when it is to be tried next, empty when nothing more happens by itself; ``leased_until`` is when the
    worker that is at it is given up. ``automatic_attempt_count`` are the tries that nobody asked for.
    """

    missing = WebhookDeliveryNotFound

    id = PublicIdField(prefix="wdel")
    webhook_endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    webhook_event = models.ForeignKey(WebhookEvent, on_delete=models.PROTECT, related_name="deliveries")
    status = fsm.FSMField(choices=D.choices, default=D.PENDING, protected=True)
    attempt_count = models.PositiveIntegerField(default=0)
    automatic_attempt_count = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    last_response_code = models.PositiveSmallIntegerField(null=True)
    last_diagnosis = models.CharField(max_length=20, choices=Diagnosis.choices, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(name="delivery_once_per_endpoint", fields=["webhook_event", "webhook_endpoint"]),
            models.CheckConstraint(
                name="delivery_is_due_only_while_pending",
                condition=Q(status=D.PENDING, due_at__isnull=False) | (~Q(status=D.PENDING) & Q(due_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="delivery_is_tried_so_often_by_itself", condition=Q(automatic_attempt_count__lte=MAX_ATTEMPTS)
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="delivery_to_try"),
            models.Index(
                fields=["webhook_endpoint", "leased_until"],
                condition=Q(leased_until__isnull=False),
                name="delivery_under_way",
            ),
            models.Index(fields=["environment", "updated_at"], condition=Q(status=D.FAILED), name="delivery_failed"),
            models.Index(fields=["environment", "created_at", "id"], name="delivery_by_time"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="delivery_made_stays_made",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status=D.DELIVERED) & ~pgtrigger.Q(new__status=D.DELIVERED),
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.id}"

    def is_leased(self, at: datetime) -> bool:
        """Whether a worker is at it."""
        return self.leased_until is not None and self.leased_until > at

    @fsm.transition(field=status, source="*", target=D.DELIVERED)
    def succeed(self, *, at: datetime) -> None:
        """The endpoint took it. It stays taken, whatever a later try comes to."""
        self.delivered_at = self.delivered_at or at
        self.due_at = None

    @fsm.transition(field=status, source=D.PENDING, target=D.PENDING)
    def wait_until(self, at: datetime) -> None:
        """It did not get through; there will be another try."""
        self.due_at = at

    @fsm.transition(field=status, source=D.PENDING, target=D.FAILED)
    def give_up(self) -> None:
        """It was tried as often as it is tried by itself."""
        self.due_at = None

    @fsm.transition(field=status, source=D.PENDING, target=D.SUPPRESSED)
    def suppress(self) -> None:
        """Its endpoint was switched off or deleted before it got through."""
        self.due_at = None


class WebhookDeliveryAttempt(StatefulRecord):
    """
    One try, written before it is made, so that one whose worker was lost is seen too.

    Of what the endpoint answered, the first few hundred characters are kept, and a few harmless headers.
    """

    id = PublicIdField(prefix="watt")
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=20, choices=Trigger.choices)
    status = fsm.FSMField(max_length=10, choices=AttemptStatus.choices, default=AttemptStatus.SENDING, protected=True)
    api_version = models.CharField(max_length=10)
    url = models.CharField(max_length=2048)
    reason_message = models.CharField(max_length=500, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    duration_milliseconds = models.PositiveIntegerField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    diagnosis = models.CharField(max_length=20, choices=Diagnosis.choices, blank=True)
    error_message = models.CharField(max_length=200, blank=True)
    response_content_type = models.CharField(max_length=100, blank=True)
    response_headers = models.JSONField(default=dict)
    response_body_excerpt = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="attempt_numbered_once", fields=["delivery", "number"])]
        indexes = [
            models.Index(fields=["started_at"], condition=Q(status=AttemptStatus.SENDING), name="attempt_under_way"),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} #{self.number}: {self.status}"

    @fsm.transition(field=status, source=AttemptStatus.SENDING, target=AttemptStatus.DELIVERED)
    def succeed(self, *, at: datetime) -> None:
        """The endpoint said that it has it."""
        self.completed_at = at

    @fsm.transition(field=status, source=AttemptStatus.SENDING, target=AttemptStatus.FAILED)
    def fail(self, *, at: datetime, diagnosis: str, message: str) -> None:
        """The endpoint did not say so; whether it has it nobody knows."""
        self.completed_at = at
        self.diagnosis, self.error_message = diagnosis, message
