"""Keeping customers."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flint.testing.fixtures import client_of
from flint.testing.staff import page, signed_in
from orders.models import Customer
from orders.tests.sales import nothing_moves, refused

PATH = "/v1/customers"
ADDRESS = {"line1": "Ring 1", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE"}


def customer(api, email="ada@example.org", **members):
    response = api.post(PATH, {"email": email, **members})
    assert response.status_code == 201, response.error
    return response.data


def test_a_customer_is_kept_as_sent(api):
    sent = {
        "email": "Ada@Example.org",
        "name": "Ada Lovelace",
        "phone": "+49 228 1234",
        "billing_address": {**ADDRESS, "line2": "Rear"},
        "shipping_address": ADDRESS,
        "external_reference_id": "crm-7",
        "internal_note": "Pays early",
        "is_verified": True,
        "tax_exempt": False,
        "metadata": {"tier": "gold"},
    }

    made = api.post(PATH, sent)

    assert made.status_code == 201
    assert {name: made.data[name] for name in sent} == sent
    assert made.data["version"] == 1
    assert made.data["merchant_id"] == api.environment.merchant_id
    assert api.get(f"{PATH}/{made.data['customer_id']}").data == made.data


def test_an_email_address_is_enough(api):
    made = customer(api)

    assert {"name", "phone", "billing_address", "external_reference_id", "internal_note"}.isdisjoint(made)


@pytest.mark.parametrize("email", ["ada@example.org", "ADA@example.org"])
def test_an_address_is_used_once_in_an_environment(api, other_api, email):
    customer(api)
    customer(other_api)

    with nothing_moves():
        refused(api.post(PATH, {"email": email}), "CUSTOMER_EMAIL_ALREADY_USED", 409, "email")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "CUSTOMER_EMAIL_REQUIRED"),
        ({"email": ""}, "CUSTOMER_EMAIL_REQUIRED"),
        ({"email": None}, "CUSTOMER_EMAIL_REQUIRED"),
        ({"email": "ada"}, "INVALID_EMAIL_FORMAT"),
        ({"email": "a@b.de", "phone": "call me"}, "INVALID_PHONE_FORMAT"),
        ({"email": "a@b.de", "billing_address": {**ADDRESS, "country": "Germany"}}, "INVALID_COUNTRY"),
        ({"email": "a@b.de", "billing_address": {"line1": "x"}}, "INVALID_REQUEST"),
        ({"email": "a@b.de", "external_reference_id": ""}, "INVALID_EXTERNAL_REFERENCE_ID"),
        ({"email": "a@b.de", "internal_note": "x" * 5_001}, "NOTE_TOO_LONG"),
        ({"email": "a@b.de", "is_verified": "yes"}, "INVALID_BOOLEAN"),
        ({"email": "a@b.de", "metadata": {"a": None}}, "INVALID_METADATA"),
        ({"email": "a@b.de", "group_id": "grp_1"}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"email": "a@b.de", "version": 1}, "UNKNOWN_FIELD"),
    ],
)
def test_a_bad_customer_is_refused_by_name(api, body, code):
    with nothing_moves():
        refused(api.post(PATH, body), code)


def test_a_change_is_sparse(api):
    made = customer(api, name="Ada", phone="+49 228 1", metadata={"a": "1", "b": "2"}, billing_address=ADDRESS)

    changed = api.patch(
        f"{PATH}/{made['customer_id']}",
        {"name": "Ada Lovelace", "phone": None, "metadata": {"b": None}, "billing_address": None, "tax_exempt": True},
    ).data

    assert changed["name"] == "Ada Lovelace"
    assert "phone" not in changed and "billing_address" not in changed
    assert changed["metadata"] == {"a": "1"}
    assert changed["tax_exempt"] is True
    assert changed["email"] == made["email"]
    assert changed["version"] == 2


def test_a_stale_version_moves_nothing(api):
    path = f"{PATH}/{customer(api)['customer_id']}"
    api.patch(path, {"name": "Ada", "expected_version": 1})

    with nothing_moves():
        response = api.patch(path, {"name": "Bob", "expected_version": 1})

    refused(response, "VERSION_CONFLICT", 409, "expected_version")
    assert response.error["current_version"] == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NO_FIELDS_TO_UPDATE"),
        ({"expected_version": 1}, "NO_FIELDS_TO_UPDATE"),
        ({"expected_version": 0, "name": "Ada"}, "INVALID_EXPECTED_VERSION"),
        ({"email": "bob@example.org"}, "UNKNOWN_FIELD"),
        ({"is_verified": None}, "NULL_NOT_ALLOWED"),
        ({"metadata": {"a": 1}}, "INVALID_METADATA"),
    ],
)
def test_a_bad_change_moves_nothing(api, body, code):
    path = f"{PATH}/{customer(api)['customer_id']}"

    with nothing_moves():
        refused(api.patch(path, body), code)


def test_lists_filter_search_and_sort(api, other_api):
    customer(other_api)
    ada = customer(api, "Ada@example.org", name="Lovelace", external_reference_id="crm-7")["customer_id"]
    bob = customer(api, "bob@example.org", name="Builder")["customer_id"]

    def listed(**query):
        return [one["customer_id"] for one in api.get(PATH, query).data]

    assert listed() == [bob, ada]
    assert listed(sort_by="name", sort_direction="asc") == [bob, ada]
    assert listed(sort_by="email", sort_direction="asc") == [ada, bob]
    assert listed(email="ADA@EXAMPLE.ORG") == [ada]
    assert listed(external_reference_id="crm-7") == [ada]
    assert listed(query="lovel") == listed(query="ada@") == listed(query=ada) == listed(query="crm-7") == [ada]
    assert listed(query="nobody") == []
    assert listed(created_before="2020-01-01T00:00:00Z") == []


def test_listing_takes_as_many_statements_for_many_as_for_one(api):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            api.get(PATH, {"page_size": 100})
        return len(captured)

    customer(api)
    few = statements()
    for number in range(20):
        customer(api, f"c{number}@example.org")

    assert statements() == few <= 3


def test_nobody_reads_or_changes_somebody_elses(api, other_api):
    path = f"{PATH}/{customer(api)['customer_id']}"

    refused(other_api.get(path), "RESOURCE_NOT_FOUND", 404)
    with nothing_moves():
        refused(other_api.patch(path, {"name": "Mallory"}), "RESOURCE_NOT_FOUND", 404)


def test_scopes(api, environment):
    path = f"{PATH}/{customer(api)['customer_id']}"
    reader = client_of(environment, scopes=["customers.read"])
    stranger = client_of(environment, scopes=["commerce.orders.write"])

    assert reader.get(path).status_code == 200
    refused(stranger.get(path), "INSUFFICIENT_SCOPE", 403)
    with nothing_moves():
        refused(reader.patch(path, {"name": "x"}), "INSUFFICIENT_SCOPE", 403)
        refused(reader.post(PATH, {"email": "x@example.org"}), "INSUFFICIENT_SCOPE", 403)
    assert Customer.objects.count() == 1


def test_staff_see_where_a_customer_is_billed_and_as_whom(api, merchant):
    identity = {"legal_name": "Lovelace & Co.", "tax_ids": [{"type": "eu_vat", "value": "DE1"}]}
    made = customer(api, billing_address=ADDRESS, tax_identity=identity)

    shown = page(signed_in(merchant).get(reverse("admin:orders_customer_change", args=[made["customer_id"]])))

    assert "Ring 1, 53111, Bonn, NW, DE" in shown
    assert "Lovelace &amp; Co., eu_vat DE1" in shown
