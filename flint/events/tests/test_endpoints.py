"""Endpoints over the API: made, changed, rotated, deleted; and where none may be."""

import base64

import pytest
from django.conf import settings

from flint.events.models import Event, WebhookEndpoint, WebhookFeed
from flint.events.webhooks import registry
from flint.testing.fixtures import client_of
from flint.testing.receiver import LOOPBACK

pytestmark = pytest.mark.django_db

URL = "https://shop.example.com/hooks"


def make(api, **data):
    return api.post("/v1/webhook-endpoints", {"url": URL, **data})


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(api):
    made = make(api, enabled_events=["order.paid", "order.created"], description="Stock")

    assert made.status_code == 201
    assert made.data["enabled_events"] == ["order.created", "order.paid"]
    assert made.data["api_version"] == "default"
    assert made.data["enabled"] is True
    secret = made.data["secret"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    shown = api.get(f"/v1/webhook-endpoints/{made.data['webhook_endpoint_id']}")
    assert shown.data == {name: value for name, value in made.data.items() if name != "secret"}
    assert [row["webhook_endpoint_id"] for row in api.get("/v1/webhook-endpoints").data] == [
        made.data["webhook_endpoint_id"]
    ]
    assert secret not in str(WebhookEndpoint.objects.values().get())
    assert WebhookFeed.objects.filter(environment=api.environment).exists()


def test_the_same_key_makes_one_endpoint_and_shows_its_secret_again(api):
    first = api.post("/v1/webhook-endpoints", {"url": URL}, key="one")
    again = api.post("/v1/webhook-endpoints", {"url": URL}, key="one")

    assert again.data == first.data
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://shop.example.com/hooks", "INVALID_URL_SCHEME"),
        ("ftp://shop.example.com/hooks", "INVALID_URL_SCHEME"),
        ("shop.example.com", "INVALID_URL_SCHEME"),
        ("https://user:pw@shop.example.com/", "INVALID_URL_HOST"),
        ("https:///hooks", "INVALID_URL_HOST"),
        ("https://shop.example.com:22/", "INVALID_URL_HOST"),
        ("https://shop.example.com:99999/", "INVALID_URL"),
        ("https://shop.example.com/#part", "INVALID_URL"),
        ("https://shop.example.com\\@evil.example/", "INVALID_URL"),
        ("https://localhost/", "INVALID_URL_HOST"),
        ("https://intranet/", "INVALID_URL_HOST"),
        ("https://db.internal/", "INVALID_URL_HOST"),
        ("https://127.0.0.1/", "INVALID_URL_HOST"),
        ("https://127.1/", "INVALID_URL_HOST"),
        ("https://0x7f000001/", "INVALID_URL_HOST"),
        ("https://2130706433/", "INVALID_URL_HOST"),
        ("https://10.0.0.8/", "INVALID_URL_HOST"),
        ("https://169.254.169.254/latest/", "INVALID_URL_HOST"),
        ("https://168.63.129.16/", "INVALID_URL_HOST"),
        ("https://100.100.100.200/", "INVALID_URL_HOST"),
        ("https://0.0.0.0/", "INVALID_URL_HOST"),
        ("https://224.0.0.1/", "INVALID_URL_HOST"),
        ("https://[::1]/", "INVALID_URL_HOST"),
        ("https://[::ffff:10.0.0.8]/", "INVALID_URL_HOST"),
        ("https://[::ffff:8.8.8.8]/", "INVALID_URL_HOST"),
        ("https://[64:ff9b::a00:8]/", "INVALID_URL_HOST"),
        ("https://[2002:0a00:0008::1]/", "INVALID_URL_HOST"),
        ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "INVALID_URL_HOST"),
        ("https://[fe80::1]/", "INVALID_URL_HOST"),
        ("https://[fd00:ec2::254]/", "INVALID_URL_HOST"),
        ("https://shop.example.com/" + "a" * 2048, "URL_TOO_LONG"),
        ("", "MISSING_URL"),
    ],
)
def test_an_address_that_leads_nowhere_or_inside_is_refused(api, url, code):
    refused = make(api, url=url)

    assert (refused.status_code, refused.code) == (400, code)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("url", ["https://8.8.8.8/", "https://[2606:4700::1111]:8443/x", "https://a.example/?k=v"])
def test_a_public_address_will_do(api, url):
    assert make(api, url=url).data["url"] == url


def test_an_install_may_name_networks_of_its_own(api, settings):
    settings.WEBHOOK_NETWORKS = LOOPBACK

    assert make(api, url="http://127.0.0.1:8001/hooks").status_code == 201
    assert make(api, url="http://10.0.0.8/").code == "INVALID_URL_HOST"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"enabled_events": ["order.vanished"]}, "INVALID_EVENT_TYPE"),
        ({"api_version": "2019-01-01"}, "INVALID_API_VERSION"),
        ({"api_version": None}, "NULL_NOT_ALLOWED"),
        ({"event_sources": ["partner_app"]}, "INVALID_EVENT_SOURCES"),
        ({"mode": "both"}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"description": "x" * 501}, "DESCRIPTION_TOO_LONG"),
        ({"secret": "whsec_mine"}, "UNKNOWN_FIELD"),
    ],
)
def test_what_an_endpoint_cannot_be(api, data, code):
    assert make(api, **data).code == code
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_changes_sparsely(api):
    path = f"/v1/webhook-endpoints/{make(api, description='Stock').data['webhook_endpoint_id']}"

    changed = api.patch(path, {"enabled": False, "url": "https://other.example.com/"})
    assert (changed.data["enabled"], changed.data["url"]) == (False, "https://other.example.com/")
    assert changed.data["description"] == "Stock"
    assert "description" not in api.patch(path, {"description": None}).data
    pinned = api.patch(path, {"api_version": "2026-09-07", "expected_api_version": "default"})
    assert pinned.data["api_version"] == "2026-09-07"
    refused = api.patch(path, {"api_version": "default", "expected_api_version": "default"})
    assert (refused.status_code, refused.code) == (409, "API_VERSION_CHANGED")
    assert api.patch(path, {}).code == "NO_FIELDS_TO_UPDATE"
    assert api.patch(path, {"url": "https://10.0.0.1/"}).code == "INVALID_URL_HOST"


def test_a_deleted_endpoint_is_gone_for_the_api_and_kept_for_the_record(api):
    path = f"/v1/webhook-endpoints/{make(api).data['webhook_endpoint_id']}"

    assert api.delete(path).data == {"success": True}
    for refused in (api.get(path), api.patch(path, {"enabled": True}), api.delete(path)):
        assert (refused.status_code, refused.code) == (404, "RESOURCE_NOT_FOUND")
    assert api.post(f"{path}/rotate-secret").status_code == 404
    assert api.get("/v1/webhook-endpoints").data == []
    assert WebhookEndpoint.objects.get().deleted_at


def test_a_rotation_shows_the_new_secret_once_and_not_again_within_the_day(api):
    made = make(api).data
    path = f"/v1/webhook-endpoints/{made['webhook_endpoint_id']}/rotate-secret"

    rotated = api.post(path)
    assert rotated.data["secret"].startswith("whsec_")
    assert rotated.data["secret"] != made["secret"]
    again = api.post(path)
    assert (again.status_code, again.code) == (409, "WEBHOOK_SECRET_ROTATION_OVERLAP_ACTIVE")


def test_what_was_done_to_endpoints_is_remembered_without_their_paths_and_secrets(api):
    made = make(api, url="https://shop.example.com/hooks?token=hush").data
    api.post(f"/v1/webhook-endpoints/{made['webhook_endpoint_id']}/rotate-secret")
    api.delete(f"/v1/webhook-endpoints/{made['webhook_endpoint_id']}")

    kept = Event.objects.filter(subject_id=made["webhook_endpoint_id"]).order_by("id")
    types = ["webhook_endpoint.created", "webhook_endpoint.secret_rotated", "webhook_endpoint.deleted"]
    assert [event.type for event in kept] == types
    assert all(event.data == {"host": "shop.example.com"} for event in kept)
    assert {event.actor_kind for event in kept} == {"key"}


def test_types_are_listed_and_each_may_be_asked_for(api):
    (group,) = api.get("/v1/webhook-event-types").data

    assert group["event_source"] == "merchant"
    assert {"order.paid", "payment_intent.succeeded", "refund.updated", "dispute.lost"} <= set(group["event_types"])
    assert make(api, enabled_events=group["event_types"]).status_code == 201
    assert group["event_types"] == registry.types()


def test_scopes(environment):
    reader, nobody = client_of(environment, scopes=["webhooks.read"]), client_of(environment, scopes=["reports.read"])

    assert reader.get("/v1/webhook-endpoints").status_code == 200
    assert make(reader).code == "INSUFFICIENT_SCOPE"
    assert nobody.get("/v1/webhook-event-types").code == "INSUFFICIENT_SCOPE"


def test_nobody_may_be_called_inside_unless_the_install_says_so():
    assert settings.WEBHOOK_NETWORKS == []
