"""The sections that are no single room's: how the merchant looks, who it is before the law, what receipts say."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.api.addresses import AddressInput
from flint.api.fields import ColorField, ListOf, PictureField, StrictBoolean, StrictString, UrlField
from flint.api.tax_identities import TaxIdInput
from flint.errors import InvalidInput
from flint.merchants.settings.sections import Section, SectionInput, declare


class BrandingSettingsInput(SectionInput):
    """How pages, emails and documents look."""

    primary_color = ColorField(
        code="INVALID_THEME_COLOR", label="Main colour", help_text="Buttons. Text on it is black or white by itself."
    )
    accent_color = ColorField(code="INVALID_THEME_COLOR", label="Accent colour", help_text="Lines and marks.")
    logo = PictureField(label="Logo", help_text="A PNG or JPEG of at most 64 KiB and 2000 pixels a side.")


class LegalSettingsInput(SectionInput):
    """What every buyer agrees to, or should know."""

    refusals = ("FIELD_REQUIRED",)

    terms_of_service_url = UrlField(label="Terms of service")
    require_terms_of_service = StrictBoolean(label="Buyers must agree to the terms of service")
    refund_policy_url = UrlField(label="Refund policy")
    shipping_policy_url = UrlField(label="Shipping policy")
    contract_url = UrlField(label="Contract")


class TaxIdentitySettingsInput(SectionInput):
    """The seller as it stands on invoices and credit notes."""

    legal_name = StrictString(label="Legal name")
    registered_address = AddressInput(label="Registered address")
    tax_ids = ListOf(TaxIdInput(), max_length=20, label="Tax ids")


class ReceiptSettingsInput(SectionInput):
    """What receipts say."""

    footer = StrictString(max_length=500, label="Closing words", help_text="At the end of every receipt.")


def check_terms(legal: Mapping[str, Any], actor: Actor) -> None:
    """:raises InvalidInput: if buyers must agree to terms that nobody can read."""
    if legal["require_terms_of_service"] and not legal["terms_of_service_url"]:
        raise InvalidInput(
            "Say where the terms of service are that buyers must agree to.",
            code="FIELD_REQUIRED",
            param="legal.terms_of_service_url",
        )


declare(
    Section(
        "branding",
        "Branding",
        BrandingSettingsInput,
        explanation="How pages, emails and documents look where nothing else was chosen for one of them.",
    )
)
declare(
    Section(
        "legal",
        "Legal",
        LegalSettingsInput,
        defaults={"require_terms_of_service": False},
        explanation="What buyers of a new checkout agree to or may read, where it chooses nothing of its own.",
        check=check_terms,
    )
)
declare(
    Section(
        "tax_identity",
        "Tax identity",
        TaxIdentitySettingsInput,
        defaults={"tax_ids": []},
        explanation="The seller on invoices and credit notes. What is issued already keeps what it was issued with.",
    )
)
declare(Section("receipts", "Receipts", ReceiptSettingsInput, explanation="What receipts say, by email and as a page."))
