"""Settings in the admin: forms by section, the same service behind them as behind the API, and who changed what."""

import base64

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from flint.events.models import Event
from flint.merchants.models import Role
from flint.merchants.settings import section_of
from flint.merchants.settings.changing import update_settings
from flint.merchants.settings.sections import sections
from flint.merchants.tests.test_settings import PIXEL
from flint.testing.staff import page, signed_in
from flint.testing.stories import actor_in

MAY_CHANGE = {
    Role.OWNER: set(sections),
    Role.FINANCE: {"invoices"},
    Role.DEVELOPER: {"customer_email_delivery"},
    Role.SUPPORT: set(),
}


def where(environment, section: str = "") -> str:
    if not section:
        return reverse("admin:merchants_settings_change", args=[environment.id])
    return f"{reverse('admin:merchants_settings_edit', args=[environment.id])}?section={section}"


def save(browser, environment, section: str, version: int = 1, **typed):
    return browser.post(where(environment, section), {"version": version, **typed})


@pytest.fixture
def owner(merchant):
    return signed_in(merchant, Role.OWNER, first_name="Olive", last_name="Owner")


def test_the_page_shows_what_holds_and_what_is_only_a_default(owner, environment):
    update_settings(data={"receipts": {"footer": "Come again."}}, actor=actor_in(environment))

    shown = page(owner.get(where(environment)))

    assert "Come again." in shown
    assert '<dd class="fl-settings-default">86400</dd>' in shown


def test_what_is_typed_is_kept_with_the_name_of_who_did(owner, environment):
    answer = save(owner, environment, "receipts", footer="Come again.\r\nSoon.")

    assert answer.status_code == 302
    assert section_of(environment.id, "receipts")["footer"] == "Come again.\nSoon."
    event = Event.objects.get(type="settings.updated")
    assert (event.actor_kind, event.actor_label) == ("staff", "Olive Owner")
    assert "Olive Owner" in page(owner.get(where(environment)))


TYPED = {
    "branding": ({"primary_color": "#1f4fd8", "accent_color": ""}, {"primary_color": "#1f4fd8", "accent_color": None}),
    "legal": (
        {"terms_of_service_url": "https://shop.example/terms", "require_terms_of_service": "yes"},
        {"terms_of_service_url": "https://shop.example/terms", "require_terms_of_service": True},
    ),
    "tax_identity": (
        {
            "legal_name": "Corner Shop GmbH",
            "registered_address.line1": "Ring 1",
            "registered_address.city": "Bonn",
            "registered_address.state": "NW",
            "registered_address.postal_code": "53111",
            "registered_address.country": "DE",
            "tax_ids.0.type": "eu_vat",
            "tax_ids.0.value": "DE123456789",
            "tax_ids.1.type": "",
        },
        {
            "registered_address": {
                "line1": "Ring 1",
                "city": "Bonn",
                "state": "NW",
                "postal_code": "53111",
                "country": "DE",
            },
            "tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
        },
    ),
    "checkout": (
        {"default_expires_in_seconds": "3600", "enabled_payment_options": ["card"], "require_email": "yes"},
        {"default_expires_in_seconds": 3600, "enabled_payment_options": ["card"], "require_email": True},
    ),
    "tipping": (
        {"enabled": "yes", "tip_percent_options": "5, 7.5, 10"},
        {"enabled": True, "tip_percent_options": [50_000, 75_000, 100_000]},
    ),
    "invoices": (
        {
            "invoice_number_prefix": "R-",
            "default_collection_mode": "external",
            "page_size": "a4",
            "payment_policy.enabled_payment_options": ["card", "ach_debit"],
            "reminder_policy.rules": "-3, 1 14",
            "autopay_retry_policy.retry_day_offsets": "1; 3",
            "timezone": "Europe/Berlin",
        },
        {
            "invoice_number_prefix": "R-",
            "default_collection_mode": "external",
            "payment_policy": {"enabled_payment_options": ["card", "ach_debit"]},
            "reminder_policy": {"rules": [{"days_from_due": day} for day in (-3, 1, 14)]},
            "autopay_retry_policy": {"retry_day_offsets": [1, 3]},
            "remit_to_address": None,
            "timezone": "Europe/Berlin",
        },
    ),
}


@pytest.mark.parametrize("name", TYPED)
def test_a_section_is_read_from_its_form_and_comes_back_into_it(owner, environment, name):
    typed, kept = TYPED[name]

    assert save(owner, environment, name, **typed).status_code == 302

    found = section_of(environment.id, name)
    assert {member: found[member] for member in kept} == kept
    again = page(owner.get(where(environment, name)))
    assert all(f'value="{text}"' in again for text in typed.values() if isinstance(text, str) and text.isalnum())
    assert page(owner.get(where(environment)))


def test_what_equals_the_default_is_not_kept_as_a_choice(owner, environment):
    save(owner, environment, "invoices", page_size="letter", default_collection_mode="buyer_initiated")
    save(owner, environment, "invoices", 2, page_size="a4", default_collection_mode="buyer_initiated")

    assert Event.objects.filter(type="settings.updated").count() == 2
    assert 'class="fl-settings-default">A4' in page(owner.get(where(environment)))


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("branding", {"primary_color": "red"}, "does not have the form"),
        ("legal", {"require_terms_of_service": "yes"}, "Say where the terms of service are"),
        ("tax_identity", {"registered_address.line1": "Ring 1"}, "This field is required"),
        ("tax_identity", {"tax_ids.0.type": "eu_vat"}, "This field is required"),
        ("checkout", {"default_expires_in_seconds": "soon"}, "whole number"),
        ("tipping", {"tip_percent_options": "5, 10"}, "at least 3"),
        ("invoices", {"reminder_policy.rules": "1, 1"}, "One reminder is sent on a day"),
        ("invoices", {"timezone": "Mars"}, "time zone of the IANA database"),
        ("invoices", {"page_size": "A5"}, "one of: a4, letter"),
    ],
)
def test_a_mistake_comes_back_with_what_was_typed(owner, environment, name, typed, words):
    answer = save(owner, environment, name, **typed)

    assert answer.status_code == 400
    shown = answer.content.decode()
    assert words in shown
    assert all(f'value="{text}"' in shown for text in typed.values() if text not in ("yes", "A5"))
    assert not Event.objects.filter(type="settings.updated").exists()


def test_who_read_an_older_version_is_told_what_happened_meanwhile(owner, environment):
    update_settings(data={"invoices": {"page_size": "letter"}}, actor=actor_in(environment))

    answer = save(owner, environment, "invoices", page_size="a4", default_memo="Mine")

    shown = answer.content.decode()
    assert answer.status_code == 400
    assert "have changed since you read them" in shown
    assert "Invoices, Paper: A4 → Letter" in shown
    assert "Mine" in shown
    assert section_of(environment.id, "invoices")["page_size"] == "letter"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", sections)
def test_a_section_is_changed_by_whom_it_is_for(merchant, environment, role, name):
    browser = signed_in(merchant, role)
    may = name in MAY_CHANGE[role]

    assert browser.get(where(environment, name)).status_code == (200 if may else 403)
    answer = browser.post(where(environment, name), {"version": 1})
    assert answer.status_code == (302 if may else 403)
    if role != Role.SUPPORT:
        assert (where(environment, name) in page(browser.get(where(environment)))) == may


def test_text_is_shown_as_text(owner, environment):
    save(owner, environment, "receipts", footer="<script>alert(1)</script>")

    shown = page(owner.get(where(environment))) + page(owner.get(where(environment, "receipts")))

    assert "<script>alert(1)" not in shown
    assert "&lt;script&gt;alert(1)" in shown


def test_a_logo_is_sent_shown_kept_and_removed(owner, environment):
    picture = SimpleUploadedFile("logo.png", base64.b64decode(PIXEL), content_type="image/png")
    assert save(owner, environment, "branding", logo=picture).status_code == 302
    assert section_of(environment.id, "branding")["logo"] == PIXEL
    assert f"data:image/png;base64,{PIXEL}" in page(owner.get(where(environment)))

    assert save(owner, environment, "branding", 2, primary_color="#000000").status_code == 302
    assert section_of(environment.id, "branding") == {
        "primary_color": "#000000",
        "accent_color": None,
        "logo": PIXEL,
    }

    assert save(owner, environment, "branding", 3, **{"logo.remove": "yes"}).status_code == 302
    assert section_of(environment.id, "branding")["logo"] is None


@pytest.mark.parametrize(
    ("content", "words"), [(b"GIF89a", "PNG or a JPEG"), (b"\x89PNG\r\n\x1a\n" + b"0" * 70_000, "at most 64 KiB")]
)
def test_a_file_that_is_no_logo_is_refused(owner, environment, content, words):
    answer = save(owner, environment, "branding", logo=SimpleUploadedFile("logo.png", content))

    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert section_of(environment.id, "branding")["logo"] is None


PARTICULARS = {
    "business_name": "Corner Shop GmbH",
    "email": "office@corner.example",
    "reporting_timezone": "Europe/Berlin",
    "address.line1": "Ring 1",
    "address.city": "Bonn",
    "address.state": "NW",
    "address.postal_code": "53111",
    "address.country": "DE",
}


def test_the_merchants_own_particulars_are_a_form_too(owner, merchant):
    here = reverse("admin:merchants_merchant_profile", args=[merchant.id])
    assert here in page(owner.get(reverse("admin:merchants_merchant_change", args=[merchant.id])))
    assert 'value="owner@corner.example"' in page(owner.get(here))

    assert owner.post(here, {"version": 1, **PARTICULARS}).status_code == 302

    merchant.refresh_from_db()
    assert (merchant.email, merchant.address["city"], merchant.version) == ("office@corner.example", "Bonn", 2)
    event = Event.objects.filter(type="merchant.updated").order_by("id").last()
    assert event.actor_label == "Olive Owner"
    assert "Ring 1, 53111, Bonn, NW, DE" in page(
        owner.get(reverse("admin:merchants_merchant_change", args=[merchant.id]))
    )


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"email": ""}, "This field is required"),
        ({"reporting_timezone": "Mars"}, "time zone of the IANA database"),
        ({"address.country": ""}, "This field is required"),
        ({"website_url": "corner.example"}, "begins with https"),
        ({"version": 7}, "has changed since you read it"),
    ],
)
def test_particulars_that_do_not_fit_come_back(owner, merchant, typed, words):
    here = reverse("admin:merchants_merchant_profile", args=[merchant.id])

    answer = owner.post(here, {"version": 1, **PARTICULARS, **typed})

    assert (answer.status_code, words in answer.content.decode()) == (400, True)
    merchant.refresh_from_db()
    assert merchant.version == 1


def test_particulars_are_the_owners_to_change(merchant):
    here = reverse("admin:merchants_merchant_profile", args=[merchant.id])
    answers = {role: signed_in(merchant, role).post(here, {"version": 1, **PARTICULARS}).status_code for role in Role}

    assert answers == {Role.DEVELOPER: 403, Role.FINANCE: 404, Role.SUPPORT: 404, Role.OWNER: 302}
