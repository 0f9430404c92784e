"""A merchant over the API: its own only, changed with a live key, remembered in each environment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from flint.events.models import Event
from flint.merchants.models import Environment
from flint.testing.fixtures import client_of

ADDRESS = {"line1": "Ring 1", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE"}
EVERYTHING = {
    "business_name": "Corner Shop GmbH",
    "email": "office@corner.example",
    "phone": "+49 228 1234",
    "address": ADDRESS,
    "website_url": "https://corner.example",
    "support_email": "help@corner.example",
    "support_phone": "+49 228 5678",
    "support_url": "https://corner.example/help",
    "reporting_timezone": "Europe/Berlin",
    "metadata": {"tier": "gold"},
}


@pytest.fixture
def live(merchant):
    return client_of(merchant.environments.get(kind="live"))


def path(api) -> str:
    return f"/v1/merchants/{api.environment.merchant_id}"


def test_a_merchant_is_changed_sparsely_and_cleared(live):
    changed = live.patch(path(live), EVERYTHING)
    assert changed.status_code == 200, changed.error
    assert {name: changed.data[name] for name in EVERYTHING} == EVERYTHING
    assert changed.data["version"] == 2

    cleared = live.patch(path(live), {"phone": None, "address": None, "metadata": {"tier": None}}).data

    assert {"phone", "address"}.isdisjoint(cleared)
    assert cleared["metadata"] == {}
    assert cleared["website_url"] == EVERYTHING["website_url"]
    read = live.get(path(live)).data
    assert {**read, "observed_at": ""} == {**cleared, "observed_at": ""}


def test_it_says_whether_payments_can_be_taken_where_the_key_is(live, api):
    assert live.get(path(live)).data["payments"] == {"status": "not_requested", "next_actions": []}
    assert api.get(path(api)).data["payments"] == {"status": "ready", "next_actions": []}


def test_only_a_live_key_changes_what_is_the_same_everywhere(api):
    before = api.get(path(api)).data["version"]

    answer = api.patch(path(api), {"support_email": "eve@evil.example"})

    assert (answer.status_code, answer.code) == (403, "SCOPE_NOT_ALLOWED_FOR_KEY_MODE")
    assert answer.error["allowed_key_modes"] == ["live"]
    assert api.get(path(api)).data["version"] == before


def test_another_merchant_does_not_exist(live, other_api):
    for theirs in (path(other_api), "/v1/merchants/mer_unknown"):
        assert live.get(theirs).code == live.patch(theirs, {"phone": None}).code == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "NO_FIELDS_TO_UPDATE", None),
        ({"expected_version": 1}, "NO_FIELDS_TO_UPDATE", None),
        ({"email": None}, "NULL_NOT_ALLOWED", "email"),
        ({"email": "office"}, "INVALID_EMAIL_FORMAT", "email"),
        ({"email": f"{'a' * 250}@b.de"}, "INVALID_EMAIL_FORMAT", "email"),
        ({"business_name": "x" * 201}, "VALUE_TOO_LONG", "business_name"),
        ({"phone": "call me"}, "INVALID_PHONE_FORMAT", "phone"),
        ({"address": {"line1": "x"}}, "INVALID_REQUEST", None),
        ({"website_url": "http://corner.example"}, "INVALID_URL_SCHEME", "website_url"),
        ({"support_url": "javascript:alert(1)"}, "INVALID_URL_SCHEME", "support_url"),
        ({"reporting_timezone": "Mars"}, "INVALID_TIMEZONE", "reporting_timezone"),
        ({"reporting_timezone": None}, "NULL_NOT_ALLOWED", "reporting_timezone"),
        ({"status": "closed"}, "UNKNOWN_FIELD", "status"),
        ({"metadata": {"flint_x": "1"}}, "RESERVED_METADATA_KEY", "metadata.flint_x"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(live, body, code, param):
    answer = live.patch(path(live), body)

    assert (answer.status_code, answer.code, answer.error.get("param")) == (400, code, param)
    assert live.get(path(live)).data["version"] == 1
    assert not Event.objects.exists()


def test_a_change_is_remembered_in_every_environment_by_name_only(live, merchant):
    live.patch(path(live), {"email": "office@corner.example", "phone": None})
    live.patch(path(live), {"email": "office@corner.example"})

    events = Event.objects.filter(type="merchant.updated")
    assert {event.environment_id for event in events} == set(Environment.objects.values_list("id", flat=True))
    assert [event.data for event in events] == [{"version": 2, "changed": ["email"]}] * 2


@pytest.mark.parametrize(("verb", "scope"), [("get", "settings.read"), ("patch", "merchants.profile.read")])
def test_a_key_needs_the_scope(merchant, verb, scope):
    api = client_of(merchant.environments.get(kind="live"), scopes=[scope])

    answer = api.get(path(api)) if verb == "get" else api.patch(path(api), {"phone": None})

    assert answer.code == "INSUFFICIENT_SCOPE"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_read_the_same_version_one_wins(live):
    gate = Barrier(2)

    def change(name):
        gate.wait()
        try:
            return live.patch(path(live), {"business_name": name, "expected_version": 1})
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(change, ["One", "Two"]))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (late,) = [answer for answer in answers if answer.status_code == 409]
    assert (late.code, late.error["current_version"]) == ("MERCHANT_CHANGED", 2)
