"""
What is told, as server-sent events: for development, and for whoever has to catch up.

A stream keeps a thread of the web server for as long as it lasts. So it lasts five minutes at most, a process has few
of them, and it costs one small read a second.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from flint.api import wire
from flint.errors import TooManyRequests, Unavailable
from flint.events.models import WebhookEvent, WebhookFeed
from flint.events.webhooks import registry
from flint.merchants.models import ApiKey, KeyStatus
from flint.merchants.scopes import implied

LASTS_SECONDS = 300.0
PAUSE_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0
BATCH = 100
LISTENING = ("webhooks.read", "webhooks.write")


class StreamingUnavailable(Unavailable):
    code = "STREAMING_UNAVAILABLE"
    message = "This installation has no streams. List webhook events, or add an endpoint."
    retryable = False


class StreamConnectionLimit(TooManyRequests):
    code = "WEBHOOK_STREAM_CONNECTION_LIMIT"
    message = "This server has as many streams open as it can hold. Try again in a moment."


class Seats:
    """How many streams a process holds. A stream takes a seat before it begins, and leaves it however it ends."""

    def __init__(self):
        self.taken = 0
        self.lock = threading.Lock()

    def take(self) -> None:
        """
        Take one.

        :raises StreamingUnavailable: if there are no seats at all. :raises StreamConnectionLimit: if none is free.
        """
        if not settings.WEBHOOK_STREAMS:
            raise StreamingUnavailable
        with self.lock:
            if self.taken >= settings.WEBHOOK_STREAMS:
                raise StreamConnectionLimit(retry_after=5)
            self.taken += 1

    def leave(self) -> None:
        with self.lock:
            self.taken -= 1


seats = Seats()


@dataclass
class Stream:
    """One connection: iterating over it gives what is sent, until its time is over or its key is no longer good."""

    key: ApiKey
    show: Callable[[WebhookEvent], dict[str, Any]]
    event_type: str = ""
    after: str = ""
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self):
        seats.take()
        self.is_seated = True
        self.ends_at = self.clock() + LASTS_SECONDS
        self.parts = self._parts()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.parts)

    def close(self) -> None:
        """End it. Called by the web server, also when the other side has gone."""
        self.parts.close()
        if self.is_seated:
            self.is_seated = False
            seats.leave()

    def _parts(self) -> Iterator[bytes]:
        position, gap = self._start()
        yield _part("ready", {"cursor": self.after} if self.after and not gap else {}, id=self.after)
        if gap:
            yield _part("gap", gap, id=gap.get("resume_cursor", ""))
        heard = self.clock()
        while self.clock() < self.ends_at:
            for message in self._next(position):
                position = message.position
                yield self._told(message)
                heard = self.clock()
            if self.clock() - heard >= KEEP_ALIVE_SECONDS:
                if not self._may_listen():
                    yield _part("disconnect", {"reason": "authorization_changed"})
                    return
                yield b": \n\n"
                heard = self.clock()
            self.pause(PAUSE_SECONDS)
        yield _part("disconnect", {"reason": "ttl"})

    def _start(self) -> tuple[int, dict[str, str]]:
        """Return the number to go on after, and what is to be said if it is not the one that was asked for."""
        feed = WebhookFeed.objects.get(environment_id=self.key.environment_id)
        if not self.after:
            return feed.position, {}
        rows = WebhookEvent.objects.filter(environment_id=self.key.environment_id)
        known = rows.filter(id=self.after, position__isnull=False).order_by("id").values_list("position", flat=True)
        if (position := known.first()) is not None:
            return position, {}
        gap = {"reason": "cursor_unavailable", "requested_cursor": self.after}
        last = rows.filter(position=feed.position).order_by("id").values_list("id", flat=True).first()
        return feed.position, gap | ({"resume_cursor": last} if last else {})

    def _next(self, position: int) -> list[WebhookEvent]:
        rows = WebhookEvent.objects.filter(environment_id=self.key.environment_id, position__gt=position)
        if self.event_type:
            rows = rows.filter(type=self.event_type)
        return list(rows.order_by("position")[:BATCH])

    def _told(self, message: WebhookEvent) -> bytes:
        needed = registry.scope_of(message.type)
        if not needed or needed not in implied(self.key.scopes):
            return _part("withheld", _withheld(message, needed), id=message.id)
        if not message.body:
            return _part("gap", {"reason": "payload_expired", "resume_cursor": message.id}, id=message.id)
        message.shows_payload = True
        return _part("webhook.event", self.show(message), id=message.id)

    def _may_listen(self) -> bool:
        """Whether the key is still good, and still for this; what it may read is taken over."""
        try:
            self.key.refresh_from_db(fields=["scopes", "status", "expires_at"])
        except ApiKey.DoesNotExist:
            return False
        is_over = self.key.expires_at is not None and self.key.expires_at <= timezone.now()
        is_good = self.key.status == KeyStatus.ACTIVE and not is_over
        return is_good and not implied(self.key.scopes).isdisjoint(LISTENING)


def _withheld(message: WebhookEvent, needed: str) -> dict[str, Any]:
    told: dict[str, Any] = {"webhook_event_id": message.id, "event_type": message.type}
    if not needed:
        return {**told, "reason": "resource_unattributed"}
    about = {"resource_type": message.resource_type} if message.resource_type else {}
    return {**told, "reason": "missing_resource_scope", **about, "required_scopes": [needed]}


def _part(name: str, data: dict[str, Any], id: str = "") -> bytes:
    lines = [f"event: {name}"] + ([f"id: {id}"] if id else [])
    return "\n".join(lines).encode() + b"\ndata: " + wire.dumps(data) + b"\n\n"
