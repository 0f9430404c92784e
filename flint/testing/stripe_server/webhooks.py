"""Telling merchants' servers: events, signed, sent again ever later until they are heard."""

import copy
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from flint.testing.stripe_server import shapes

RETRY_AFTER = (60, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200)
"""Waits in seconds between tries, about three days in all. Stripe does not publish its own."""

TIMEOUT = 10

Post = Callable[[str, bytes, dict[str, str]], int]


@dataclass
class Endpoint:
    """Where events are sent. While a secret is being rolled, both sign."""

    url: str
    secrets: list[str]


@dataclass
class Delivery:
    """One event on its way to one endpoint."""

    event: dict[str, Any]
    endpoint: Endpoint
    next_at: int
    tries: int = 0


class Webhooks:
    """One account's events, and who is told of them."""

    def __init__(self, now: Callable[[], int], *, livemode: bool, version: str):
        self.now, self.livemode, self.version = now, livemode, version
        self.lock = Lock()
        self.events: list[dict[str, Any]] = []
        self.endpoints: list[Endpoint] = []
        self.waiting: list[Delivery] = []

    def add_endpoint(self, url: str, secret: str) -> Endpoint:
        """Have events sent to an address from now on."""
        endpoint = Endpoint(url, [secret])
        self.endpoints.append(endpoint)
        return endpoint

    def emit(self, type: str, thing: dict[str, Any], *, account: str = "") -> dict[str, Any]:
        """Write an event and queue it for every endpoint."""
        event = shapes.event(
            type, thing, created=self.now(), livemode=self.livemode, version=self.version, account=account
        )
        with self.lock:
            event["pending_webhooks"] = len(self.endpoints)
            self.events.append(event)
            self.waiting += [Delivery(event, endpoint, self.now()) for endpoint in self.endpoints]
        return event

    def deliver(self, post: Post | None = None) -> int:
        """Send what is due, and return how many were heard. One that nobody heard is sent again later."""
        with self.lock:
            due = [delivery for delivery in self.waiting if delivery.next_at <= self.now()]
        heard = 0
        for delivery in due:
            body = body_of(delivery.event)
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": sign(body, delivery.endpoint.secrets, self.now()),
            }
            status = (over_http if post is None else post)(delivery.endpoint.url, body, headers)
            heard += self._settle(delivery, heard=200 <= status < 300)
        return heard

    def _settle(self, delivery: Delivery, *, heard: bool) -> bool:
        with self.lock:
            if heard or delivery.tries >= len(RETRY_AFTER):
                self.waiting.remove(delivery)
                delivery.event["pending_webhooks"] -= 1
            else:
                delivery.next_at = self.now() + RETRY_AFTER[delivery.tries]
                delivery.tries += 1
        return heard


def body_of(event: dict[str, Any]) -> bytes:
    """Return the bytes that are sent, and signed."""
    return json.dumps(copy.deepcopy(event), indent=2).encode()


def sign(body: bytes, secrets: list[str], at: int) -> str:
    """Return the signature header. The whole secret is the key, its prefix included."""
    signed = f"{at}.".encode() + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={digest}" for digest in digests), f"v0={'0' * 64}"])


def over_http(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post for real, and return the status, or 0 if nobody answered."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers, method="POST"), timeout=TIMEOUT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
