"""Where a merchant is told what happened, and what it is told."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.events.models.facts import Event
from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet, Record
from flint.sealing import SealedField, Secret

FOLLOWS_MERCHANT = "default"


class WebhookEndpointNotFound(NotFound):
    message = "No such webhook endpoint in this environment."


class WebhookEventNotFound(NotFound):
    message = "No such webhook event in this environment."


class WebhookFeed(models.Model):
    """
    Says whether somebody listens to an environment: while it is open, what happens there is told.

    It opens with the first endpoint or stream, and closes when there has been neither for a week; ``listened_at`` is
    when somebody last came. ``position`` numbers what was told, without gaps. Whoever publishes holds this row's lock,
    so that a reader that has seen one number has seen all those before it.
    """

    environment = models.OneToOneField(
        "merchants.Environment", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    is_open = models.BooleanField(default=True)
    position = models.BigIntegerField(default=0)
    listened_at = models.DateTimeField()

    objects = EnvironmentQuerySet.as_manager()

    def __str__(self) -> str:
        return f"feed of {self.environment_id} at {self.position}"


class UntoldEvent(models.Model):
    """
    An event that still has to be told. Written by the trigger on events, deleted with what became of it.

    ``due_at`` is empty for one that nobody has tried yet; ``error`` says what kept one from being told.
    """

    id = models.BigAutoField(primary_key=True)
    # Copied from the event by the trigger; constraints would be checked at every commit for what cannot be otherwise.
    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    environment = models.ForeignKey(
        "merchants.Environment", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["environment", "id"], name="untold_event_in_order")]

    def __str__(self) -> str:
        return f"{self.event_id} not told yet"


class WebhookEndpoint(Record):
    """
    An address of a merchant's that is told what happens in one environment.

    No ``enabled_events`` are all of them. After a rotation the previous secret signs beside the new one for a while.
    A deleted endpoint stays, so that what it was sent can be looked up; nobody but the admin sees it.
    """

    missing = WebhookEndpointNotFound

    id = PublicIdField(prefix="whep")
    url = models.CharField(max_length=2048)
    description = models.CharField(max_length=500, blank=True)
    enabled_events = ArrayField(models.CharField(max_length=64), default=list)
    enabled = models.BooleanField(default=True)
    api_version = models.CharField(max_length=10, default=FOLLOWS_MERCHANT)
    secret = SealedField()
    previous_secret = SealedField(default="", blank=True)
    previous_secret_until = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["environment", "id"], condition=Q(deleted_at__isnull=True), name="endpoint_in_use"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def is_active(self) -> bool:
        """Whether it is told of anything."""
        return self.enabled and self.deleted_at is None

    def wants(self, type: str) -> bool:
        """Whether it asked for events of a type."""
        return not self.enabled_events or type in self.enabled_events

    def secrets_at(self, at: datetime) -> list[Secret]:
        """Return the secrets that sign at a moment, the present one first."""
        overlaps = self.previous_secret_until is not None and at < self.previous_secret_until
        return [self.secret, *([self.previous_secret] if overlaps else [])]


class WebhookEvent(models.Model):
    """
    What a merchant is told about one fact: the contract's event, its envelope written down once and never again.

    ``body`` is what every delivery sends, byte for byte; it is erased after a while. ``fact`` names what is told, once
    per type: the internal event's id, or what a declaration says several of them have in common. One that a merchant
    asked for to try its endpoint, ``is_test``, has no internal event.
    """

    missing = WebhookEventNotFound

    id = PublicIdField(prefix="whev")
    environment = models.ForeignKey("merchants.Environment", on_delete=models.PROTECT, related_name="+")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, related_name="webhook_events")
    type = models.CharField(max_length=64)
    fact = models.CharField(max_length=100)
    position = models.BigIntegerField(null=True)
    resource_type = models.CharField(max_length=32, blank=True)
    resource_id = models.CharField(max_length=40, blank=True)
    is_test = models.BooleanField(default=False)
    api_version = models.CharField(max_length=10)
    body = models.TextField(blank=True)
    request_id = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(auto_now_add=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="webhook_event_once_per_fact", fields=["environment", "type", "fact"]),
            models.UniqueConstraint(name="webhook_event_position_once", fields=["environment", "position"]),
            models.CheckConstraint(
                name="webhook_event_is_of_an_event_or_a_test",
                condition=Q(is_test=False, event__isnull=False, position__isnull=False)
                | Q(is_test=True, event__isnull=True, position__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="webhook_event_by_time"),
            models.Index(fields=["environment", "resource_id"], name="webhook_event_by_resource"),
            models.Index(fields=["published_at"], condition=~Q(body=""), name="webhook_event_to_erase"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.resource_id}"
