"""What a merchant chooses for an environment: sparse changes, defaults for the rest, and a version for who is late."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from flint.events.models import Event
from flint.merchants import services
from flint.merchants.models import Settings
from flint.merchants.settings import section_of
from flint.merchants.settings.sections import sections
from flint.testing.fixtures import client_of

PATH, EFFECTIVE = "/v1/settings", "/v1/settings/effective"
ADDRESS = {"line1": "Ring 1", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE"}


def changed(api, **body):
    response = api.patch(PATH, body)
    assert response.status_code == 200, response.error
    return response.data


def refused(response, code: str, status: int = 400, param: str | None = None):
    assert (response.status_code, response.code) == (status, code), response.error
    assert response.error.get("param") == param


def test_who_chose_nothing_has_nothing_stored_and_every_default(api, django_assert_num_queries):
    raw = api.get(PATH).data
    effective = api.get(EFFECTIVE).data

    assert raw == {
        "settings_id": Settings.id_of(api.environment.id),
        "settings_scope": "merchant",
        "version": 1,
        "metadata": {},
    }
    assert effective["version"] == 1
    assert effective["checkout"]["default_expires_in_seconds"] == 86_400
    assert effective["invoices"]["reminder_policy"] == {"rules": []}
    assert "default_memo" not in effective["invoices"]
    assert not Settings.objects.exists()
    with django_assert_num_queries(1):
        assert section_of(api.environment.id, "invoices")["default_memo"] is None


def test_a_change_is_sparse_at_both_levels(api):
    changed(
        api, invoices={"default_memo": "Thank you", "invoice_number_prefix": "R-"}, checkout={"require_email": True}
    )
    after = changed(api, invoices={"default_memo": "Thanks"})

    assert after["version"] == 3
    assert after["invoices"] == {"default_memo": "Thanks", "invoice_number_prefix": "R-"}
    assert after["checkout"] == {"require_email": True}
    assert api.get(PATH).data == after
    assert section_of(api.environment.id, "invoices")["page_size"] == "a4"


def test_null_goes_back_to_the_default(api):
    changed(
        api, invoices={"page_size": "letter", "default_memo": "Thanks"}, legal={"contract_url": "https://shop.example"}
    )

    after = changed(api, invoices={"page_size": None}, legal=None)

    assert after["invoices"] == {"default_memo": "Thanks"}
    assert "legal" not in after
    assert api.get(EFFECTIVE).data["invoices"]["page_size"] == "a4"
    assert api.get(EFFECTIVE).data["legal"] == {"require_terms_of_service": False}


def test_a_member_is_replaced_as_a_whole(api):
    changed(api, tax_identity={"registered_address": {**ADDRESS, "line2": "Rear"}})

    after = changed(api, tax_identity={"registered_address": ADDRESS})

    assert after["tax_identity"]["registered_address"] == ADDRESS


def test_metadata_is_merged_pair_by_pair(api):
    changed(api, metadata={"team": "north", "shelf": "3"})

    assert changed(api, metadata={"shelf": None})["metadata"] == {"team": "north"}
    assert changed(api, metadata=None)["metadata"] == {}


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one pixel."""

EVERYTHING = {
    "branding": {"primary_color": "#1f4fd8", "accent_color": "#AA0000", "logo": PIXEL},
    "legal": {
        "terms_of_service_url": "https://shop.example/terms",
        "require_terms_of_service": True,
        "refund_policy_url": "https://shop.example/refunds",
        "shipping_policy_url": "https://shop.example/shipping",
        "contract_url": "https://shop.example/contract",
    },
    "tax_identity": {
        "legal_name": "Corner Shop GmbH",
        "registered_address": ADDRESS,
        "tax_ids": [{"type": "eu_vat", "value": "DE123456789", "country": "DE"}],
    },
    "receipts": {"footer": "Come again."},
    "customer_email_delivery": {
        "receipts": "flint_sends",
        "refunds": "merchant_sends",
        "failed_payments": "merchant_sends",
        "invoices": "flint_sends",
        "invoice_reminders": "merchant_sends",
    },
    "checkout": {
        "default_expires_in_seconds": 3_600,
        "enabled_payment_options": ["card"],
        "require_email": True,
        "require_phone": False,
        "saved_payment_details": {"enabled": False},
        "recovery_email": {"enabled": False, "delay_seconds": 900},
    },
    "tipping": {"enabled": True, "is_custom_tip_enabled": True, "tip_percent_options": [5, 7.5, 10.125]},
    "invoices": {
        "invoice_number_prefix": "R-",
        "credit_note_number_prefix": "",
        "default_collection_mode": "automatic",
        "default_memo": "Thank you.",
        "default_footer": "Corner Shop GmbH, Bonn",
        "payment_policy": {"enabled_payment_options": ["card", "ach_debit"]},
        "reminder_policy": {"rules": [{"days_from_due": -90}, {"days_from_due": 365}]},
        "autopay_retry_policy": {"retry_day_offsets": [1, 3, 7]},
        "remit_to_address": ADDRESS,
        "reply_to_email": "books@corner.example",
        "timezone": "Europe/Berlin",
        "page_size": "letter",
        "factur_x": True,
    },
}


def test_everything_can_be_chosen_and_is_shown_as_it_was_sent(api):
    known = {name: set(section.members) for name, section in sections.items()}
    known["invoices"].remove("default_invoice_payment_term_id")  # Names a row; tested where that is known.
    assert known == {name: set(members) for name, members in EVERYTHING.items()}

    after = changed(api, **EVERYTHING)

    assert {name: after[name] for name in EVERYTHING} == EVERYTHING
    assert {name: api.get(EFFECTIVE).data[name] for name in EVERYTHING} == EVERYTHING


LONG = "x" * 4_097
PREFIX_PARAM = "invoices.invoice_number_prefix"
REMINDERS, RETRIES = "invoices.reminder_policy.rules", "invoices.autopay_retry_policy.retry_day_offsets"


def rules(*days):
    return {"invoices": {"reminder_policy": {"rules": [{"days_from_due": day} for day in days]}}}


def retries(*days):
    return {"invoices": {"autopay_retry_policy": {"retry_day_offsets": list(days)}}}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "NO_FIELDS_TO_UPDATE", None),
        ({"expected_version": 1}, "NO_FIELDS_TO_UPDATE", None),
        ({"colours": {}}, "UNKNOWN_FIELD", "colours"),
        ({"catalog": {}}, "RESERVED_FIELD_NOT_YET_SUPPORTED", "catalog"),
        ({"payment_limits": {}}, "RESERVED_FIELD_NOT_YET_SUPPORTED", "payment_limits"),
        ({"settings_scope": "merchant"}, "UNKNOWN_FIELD", "settings_scope"),
        ({"branding": []}, "INVALID_REQUEST", "branding"),
        ({"branding": {"colour": "#000000"}}, "UNKNOWN_FIELD", "branding.colour"),
        ({"branding": {"primary_color": "red"}}, "INVALID_THEME_COLOR", "branding.primary_color"),
        ({"branding": {"primary_color": 5}}, "INVALID_THEME_COLOR", "branding.primary_color"),
        ({"branding": {"logo": "not base64!"}}, "INVALID_IMAGE", "branding.logo"),
        ({"branding": {"logo": "R0lGODlhAQABAAAAACw="}}, "INVALID_IMAGE", "branding.logo"),
        ({"branding": {"logo": "A" * 90_000}}, "INVALID_IMAGE", "branding.logo"),
        ({"branding": {"logo": "data:image/png;base64," + PIXEL}}, "INVALID_IMAGE", "branding.logo"),
        ({"legal": {"contract_url": "javascript:alert(1)"}}, "INVALID_URL_SCHEME", "legal.contract_url"),
        ({"legal": {"require_terms_of_service": "yes"}}, "INVALID_BOOLEAN", "legal.require_terms_of_service"),
        ({"legal": {"require_terms_of_service": True}}, "FIELD_REQUIRED", "legal.terms_of_service_url"),
        ({"tax_identity": {"legal_name": ""}}, "FIELD_REQUIRED", "tax_identity.legal_name"),
        ({"tax_identity": {"tax_ids": [{}] * 21}}, "RESOURCE_LIMIT_EXCEEDED", "tax_identity.tax_ids"),
        (
            {"tax_identity": {"tax_ids": [{"type": "eu_vat", "value": "<b>"}]}},
            "INVALID_REQUEST",
            "tax_identity.tax_ids[0].value",
        ),
        (
            {"tax_identity": {"registered_address": {**ADDRESS, "country": "Germany"}}},
            "INVALID_COUNTRY",
            "tax_identity.registered_address.country",
        ),
        ({"receipts": {"footer": "x" * 501}}, "VALUE_TOO_LONG", "receipts.footer"),
        ({"receipts": {"footer": "a\x00b"}}, "INVALID_JSON", None),
        ({"receipts": {"footer": "\ud800"}}, "INVALID_JSON", None),
        (
            {"customer_email_delivery": {"receipts": "nobody"}},
            "INVALID_REQUEST",
            "customer_email_delivery.receipts",
        ),
        (
            {"customer_email_delivery": {"pay_links": "flint_sends"}},
            "UNKNOWN_FIELD",
            "customer_email_delivery.pay_links",
        ),
        ({"checkout": {"default_expires_in_seconds": 59}}, "INVALID_EXPIRATION", "checkout.default_expires_in_seconds"),
        (
            {"checkout": {"default_expires_in_seconds": 86_401}},
            "INVALID_EXPIRATION",
            "checkout.default_expires_in_seconds",
        ),
        ({"checkout": {"default_expires_in_seconds": 60.5}}, "INVALID_JSON", "checkout.default_expires_in_seconds"),
        (
            {"checkout": {"enabled_payment_options": []}},
            "INVALID_PAYMENT_OPTIONS",
            "checkout.enabled_payment_options",
        ),
        (
            {"checkout": {"enabled_payment_options": ["cash"]}},
            "INVALID_PAYMENT_OPTIONS",
            "checkout.enabled_payment_options[0]",
        ),
        ({"tipping": {"tip_percent_options": [5, 10]}}, "INVALID_TIP_PERCENT", "tipping.tip_percent_options"),
        ({"tipping": {"tip_percent_options": [0, 5, 10]}}, "INVALID_TIP_PERCENT", "tipping.tip_percent_options[0]"),
        ({"invoices": {"invoice_number_prefix": "x" * 13}}, "VALUE_TOO_LONG", PREFIX_PARAM),
        ({"invoices": {"invoice_number_prefix": "Ä"}}, "INVALID_REQUEST", PREFIX_PARAM),
        ({"invoices": {"invoice_number_prefix": "A\n"}}, "INVALID_REQUEST", PREFIX_PARAM),
        ({"invoices": {"default_memo": LONG}}, "VALUE_TOO_LONG", "invoices.default_memo"),
        ({"invoices": {"default_footer": LONG}}, "VALUE_TOO_LONG", "invoices.default_footer"),
        ({"invoices": {"default_collection_mode": "never"}}, "INVALID_REQUEST", "invoices.default_collection_mode"),
        ({"invoices": {"timezone": "Mars/Olympus"}}, "INVALID_INVOICE_TIMEZONE", "invoices.timezone"),
        ({"invoices": {"reply_to_email": "books"}}, "INVALID_INVOICE_REPLY_TO_EMAIL", "invoices.reply_to_email"),
        ({"invoices": {"page_size": "A5"}}, "INVALID_REQUEST", "invoices.page_size"),
        (
            {"invoices": {"payment_policy": {}}},
            "INVOICE_PAYMENT_OPTIONS_REQUIRED",
            "invoices.payment_policy.enabled_payment_options",
        ),
        (
            {"invoices": {"payment_policy": {"enabled_payment_options": []}}},
            "INVOICE_PAYMENT_OPTIONS_REQUIRED",
            "invoices.payment_policy.enabled_payment_options",
        ),
        (
            {"invoices": {"payment_policy": {"enabled_payment_options": ["card", "card"]}}},
            "INVALID_INVOICE_PAYMENT_POLICY",
            "invoices.payment_policy.enabled_payment_options",
        ),
        (
            {"invoices": {"payment_policy": {"enabled_payment_options": ["card"], "show_cost_comparison": True}}},
            "RESERVED_FIELD_NOT_YET_SUPPORTED",
            "invoices.payment_policy.show_cost_comparison",
        ),
        (rules(-91), "INVALID_INVOICE_REMINDER_OFFSET", f"{REMINDERS}[0].days_from_due"),
        (rules(366), "INVALID_INVOICE_REMINDER_OFFSET", f"{REMINDERS}[0].days_from_due"),
        (rules(1, 1), "DUPLICATE_INVOICE_REMINDER_OFFSET", REMINDERS),
        (rules(*range(21)), "INVOICE_REMINDER_RULE_LIMIT_EXCEEDED", REMINDERS),
        (retries(1, 2, 3, 4, 5, 6), "INVOICE_AUTOPAY_RETRY_LIMIT_EXCEEDED", RETRIES),
        (retries(3, 1), "INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS", RETRIES),
        (retries(0), "INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS", f"{RETRIES}[0]"),
        ({"metadata": {"flint_key": "x"}}, "RESERVED_METADATA_KEY", "metadata.flint_key"),
        ({"receipts": {}, "expected_version": 0}, "INVALID_EXPECTED_VERSION", "expected_version"),
        ({"receipts": {}, "expected_version": None}, "NULL_NOT_ALLOWED", "expected_version"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(api, body, code, param):
    before = changed(api, receipts={"footer": "As it was."})

    refused(api.patch(PATH, body), code, 400, param)

    assert api.get(PATH).data == before
    assert Event.objects.filter(type="settings.updated").count() == 1


def test_several_mistakes_are_told_at_once(api):
    response = api.patch(PATH, {"branding": {"primary_color": "red"}, "invoices": {"page_size": "A5"}, "colours": {}})

    refused(response, "INVALID_REQUEST")
    assert {each["param"] for each in response.error["details"]} == {
        "branding.primary_color",
        "invoices.page_size",
        "colours",
    }


def test_a_stale_version_is_refused_with_the_one_there_is(api):
    changed(api, receipts={"footer": "First"}, expected_version=1)

    stale = api.patch(PATH, {"receipts": {"footer": "Second"}, "expected_version": 1})

    refused(stale, "VERSION_CONFLICT", 409, "expected_version")
    assert stale.error["current_version"] == 2
    assert api.get(PATH).data["receipts"] == {"footer": "First"}


def test_what_is_so_already_is_no_change(api):
    first = changed(api, receipts={"footer": "Bye"})
    again = changed(api, receipts={"footer": "Bye"}, branding={}, legal=None)

    assert again == first
    assert Event.objects.filter(type="settings.updated").count() == 1


def test_a_change_is_remembered_with_who_and_what_but_no_addresses(api):
    changed(api, invoices={"page_size": "letter"})
    changed(
        api,
        invoices={"page_size": "a4", "reply_to_email": "books@corner.example", "default_memo": "x" * 65},
        tax_identity={"registered_address": ADDRESS},
    )

    event = Event.objects.filter(type="settings.updated").order_by("created_at", "id").last()
    assert (event.environment_id, event.subject_id, event.actor_kind) == (
        api.environment.id,
        Settings.id_of(api.environment.id),
        "key",
    )
    assert event.data == {
        "version": 3,
        "changes": [
            {"field": "invoices.default_memo"},
            {"field": "invoices.page_size", "before": "letter", "after": "a4"},
            {"field": "invoices.reply_to_email"},
            {"field": "tax_identity.registered_address"},
        ],
    }


def test_a_repeat_with_the_same_key_has_no_second_effect(api):
    first = api.patch(PATH, {"receipts": {"footer": "Bye"}}, key="one")
    again = api.patch(PATH, {"receipts": {"footer": "Bye"}}, key="one")

    assert again.data == first.data
    assert again["Idempotency-Replayed"] == "true"
    refused(api.patch(PATH, {"receipts": {"footer": "Other"}}, key="one"), "IDEMPOTENCY_KEY_REUSED", 409)


def test_each_environment_chooses_for_itself(api, other_api, merchant):
    changed(api, receipts={"footer": "Sandbox"})
    second = client_of(services.create_sandbox(merchant_id=merchant.id, name="Second"))

    assert "receipts" not in second.get(PATH).data
    assert "receipts" not in other_api.get(PATH).data
    changed(second, receipts={"footer": "Second"})
    assert api.get(PATH).data["receipts"] == {"footer": "Sandbox"}


@pytest.mark.parametrize("verb", ["get", "patch"])
def test_a_key_needs_the_scope(environment, verb):
    api = client_of(environment, scopes=["settings.read"] if verb == "patch" else ["reports.read"])

    response = api.get(PATH) if verb == "get" else api.patch(PATH, {"receipts": {"footer": "Bye"}})

    refused(response, "INSUFFICIENT_SCOPE", 403)


def test_a_place_or_a_device_has_no_settings_of_its_own(api):
    refused(api.get(EFFECTIVE, {"location_id": "loc_1"}), "UNSUPPORTED_QUERY_PARAM", 400, "location_id")


@pytest.mark.parametrize("name", sorted(sections))
def test_every_default_is_what_a_request_could_choose(name):
    section = sections[name]

    assert section.takes().run_validation(dict(section.defaults)) == dict(section.defaults)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", [1, 2], ids=["the first choice", "a later one"])
def test_of_two_who_read_the_same_version_one_wins(api, version):
    if version == 2:
        changed(api, receipts={"footer": "As it was."})
    gate = Barrier(2)

    def choose(footer):
        gate.wait()
        try:
            return api.patch(PATH, {"receipts": {"footer": footer}, "expected_version": version})
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(choose, ["One", "Two"]))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    assert api.get(PATH).data == winner.data
    assert winner.data["version"] == version + 1
    assert Event.objects.filter(type="settings.updated").count() == version
