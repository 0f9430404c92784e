"""The stream: what is told, part by part, from now on or from where one left off."""

import json

import pytest
from django.utils import timezone

from flint.events.models import WebhookEvent, WebhookFeed
from flint.events.tests.telling import endpoint_at, publish
from flint.events.webhooks import streaming
from flint.events.webhooks.streaming import Stream, seats
from flint.merchants.models import ApiKey
from flint.testing import stories
from flint.testing.fixtures import client_of

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://shop.example.com/hooks"


class Clock:
    """Time that passes in the pauses only; ``then`` is what happens in the next of them."""

    def __init__(self, *then):
        self.now, self.then = 0.0, list(then)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.then:
            self.then.pop(0)()


def listen(api, clock: Clock, **options) -> list[dict]:
    """Return all parts of a stream until it ends."""
    key = ApiKey.objects.select_related("environment").get(environment=api.environment)
    seen = {"pause": clock.pause, "clock": clock, **options}
    stream = Stream(key, lambda row: {"id": row.id, "shown": row.shows_payload}, **seen)
    try:
        return [parsed(part) for part in stream]
    finally:
        stream.close()


def parsed(part: bytes) -> dict:
    if part.startswith(b":"):
        return {"event": "keep-alive"}
    lines = dict(line.split(": ", 1) for line in part.decode().strip().split("\n"))
    return {**lines, "data": json.loads(lines["data"])}


def happen(environment):
    stories.open_order(environment)
    publish()


def test_it_gives_what_is_told_from_now_on_and_ends(api, environment):
    endpoint_at(environment, URL)
    happen(environment)
    parts = listen(api, Clock(lambda: happen(environment)))

    ready, event, *rest, end = parts
    assert (ready["event"], ready["data"]) == ("ready", {})
    newest = WebhookEvent.objects.order_by("-position").first()
    assert (event["event"], event["id"]) == ("webhook.event", newest.id)
    assert event["data"] == {"id": newest.id, "shown": True}
    assert end == {"event": "disconnect", "data": {"reason": "ttl"}}
    assert {each["event"] for each in rest} == {"keep-alive"}
    assert seats.taken == 0


def test_it_goes_on_after_a_cursor(api, environment):
    endpoint_at(environment, URL)
    for _ in range(3):
        happen(environment)
    first, second, third = WebhookEvent.objects.order_by("position")

    parts = listen(api, Clock(), after=first.id)
    assert parts[0]["data"] == {"cursor": first.id}
    assert [each["id"] for each in parts if each["event"] == "webhook.event"] == [second.id, third.id]


def test_a_cursor_that_is_not_known_is_a_gap(api, environment):
    endpoint_at(environment, URL)
    happen(environment)
    last = WebhookEvent.objects.get()

    parts = listen(api, Clock(), after="whev_01J00000000000000000000000")
    assert parts[1]["event"] == "gap"
    assert parts[1]["data"] == {
        "reason": "cursor_unavailable",
        "requested_cursor": "whev_01J00000000000000000000000",
        "resume_cursor": last.id,
    }


def test_what_the_key_may_not_read_is_withheld_and_what_is_gone_is_a_gap(environment):
    endpoint_at(environment, URL)
    reader = client_of(environment, scopes=["webhooks.read"])
    happen(environment)
    first = WebhookEvent.objects.get()
    WebhookFeed.objects.update(position=0)

    (_, withheld, *_) = listen(reader, Clock())
    assert withheld["event"] == "withheld"
    assert withheld["data"] == {
        "webhook_event_id": first.id,
        "event_type": "order.created",
        "reason": "missing_resource_scope",
        "resource_type": "order",
        "required_scopes": ["commerce.orders.read"],
    }
    ApiKey.objects.update(scopes=["webhooks.read", "commerce.orders.read"])
    WebhookEvent.objects.update(body="")
    (_, gap, *_) = listen(reader, Clock())
    assert gap["data"] == {"reason": "payload_expired", "resume_cursor": first.id}


def test_a_revoked_key_is_shown_out(api, environment):
    endpoint_at(environment, URL)

    def revoke():
        ApiKey.objects.update(status="revoked", revoked_at=timezone.now())

    parts = listen(api, Clock(revoke))
    assert parts[-1]["data"] == {"reason": "authorization_changed"}
    assert len(parts) == 2


def ask(api, **query):
    """Ask for a stream; it is in no document to be held against."""
    headers = {"Authorization": f"Bearer {api.secret}"}
    return api.http.get("/v1/webhook-events/stream", query_params=query, headers=headers)


def refusal(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_over_http(api, environment):
    response = ask(api)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    assert response["Flint-Mode"] == "test"
    assert parsed(next(response.streaming_content)) == {"event": "ready", "data": {}}
    assert WebhookFeed.objects.get(environment=environment).is_open

    assert refusal(ask(api)) == (429, "WEBHOOK_STREAM_CONNECTION_LIMIT")
    response.close()
    assert seats.taken == 0
    assert refusal(ask(api, event_type="order.vanished")) == (400, "INVALID_EVENT_TYPE")
    assert seats.taken == 0


def test_an_install_may_have_none(api, settings):
    settings.WEBHOOK_STREAMS = 0
    assert refusal(ask(api)) == (503, "STREAMING_UNAVAILABLE")
    assert streaming.seats.taken == 0


def test_who_may_not_listen_does_not(environment):
    nobody = client_of(environment, scopes=["reports.read"])
    assert refusal(ask(nobody)) == (403, "INSUFFICIENT_SCOPE")
