"""A merchant's own particulars as a form for staff, with the same service behind it as over the API."""

from typing import Any

from django.http import HttpRequest
from rest_framework.exceptions import ValidationError

from flint.admin import staff_actor
from flint.api.addresses import AddressInput
from flint.api.errors import invalid_fields
from flint.api.fields import EmailField, PhoneField, StrictString, TimezoneField, UrlField
from flint.api.serializers import shared
from flint.errors import InvalidInput
from flint.merchants.models import Merchant
from flint.merchants.services import update_merchant
from flint.merchants.settings import forms
from flint.merchants.settings.sections import Section, SectionInput


class ProfileInput(SectionInput):
    """Who a merchant is, and how it is reached."""

    business_name = StrictString(max_length=200, label="Business name", help_text="What buyers read.")
    email = EmailField(max_length=254, label="Email")
    phone = PhoneField(label="Phone")
    address = AddressInput(label="Business address")
    website_url = UrlField(label="Website")
    support_email = EmailField(max_length=254, label="Support email", help_text="Where buyers write to.")
    support_phone = PhoneField(label="Support phone")
    support_url = UrlField(label="Support page")
    reporting_timezone = TimezoneField(max_length=64, label="Time zone", help_text="Of reports and of times in here.")


PROFILE = Section(
    "profile", "Merchant", ProfileInput, explanation="The same in every environment: live and in each sandbox."
)
NEEDED = ("email", "reporting_timezone")


def values_of(merchant: Merchant) -> dict[str, Any]:
    """Return what the form is filled with."""
    return {name: getattr(merchant, name) or None for name in PROFILE.members}


def keep(request: HttpRequest, merchant: Merchant) -> None:
    """
    Keep what was typed.

    :raises FlintError: if it does not fit, or the merchant has changed since the form was made.
    """
    body = forms.body_of(PROFILE, request.POST)
    for name in NEEDED:
        if body[name] is None:
            raise InvalidInput("This field is required.", param=name)
    try:
        data = shared(ProfileInput).run_validation(body)
    except ValidationError as error:
        raise invalid_fields(error.detail) from None
    version = request.POST.get("version", "")
    environment_id = merchant.environments.order_by("id").values_list("id", flat=True)[0]
    update_merchant(
        merchant_id=merchant.id,
        data={**data, "expected_version": int(version) if version.isdecimal() else 0},
        actor=staff_actor(request, environment_id),
    )
