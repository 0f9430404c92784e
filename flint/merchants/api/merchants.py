"""
The route of a merchant: who it is and how it is reached, the same in all of its environments.

What the contract says of onboarding and requirements has one answer here: who hosts Flint itself is never reviewed.
"""

from typing import Any

from django.utils import timezone

from flint import errors
from flint.api.addresses import AddressInput, AddressOutput
from flint.api.fields import (
    EmailField,
    EnumField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    PhoneField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
    TimezoneField,
    UrlField,
)
from flint.api.idempotency import idempotent
from flint.api.serializers import Output, Patch
from flint.api.views import ApiView
from flint.merchants.models import Environment, Merchant
from flint.merchants.services import update_merchant


class ScopeNotAllowedForKeyMode(errors.Forbidden):
    code = "SCOPE_NOT_ALLOWED_FOR_KEY_MODE"
    message = "The merchant is the same in every environment, so only a live key changes it."


class UpdateMerchantInput(Patch):
    """A sparse change of a merchant; null clears."""

    guards = ("expected_version",)

    business_name = StrictString(max_length=200, allow_null=True)
    email = EmailField(max_length=254)
    phone = PhoneField(allow_null=True)
    address = AddressInput(allow_null=True)
    website_url = UrlField(allow_null=True)
    support_email = EmailField(max_length=254, allow_null=True)
    support_phone = PhoneField(allow_null=True)
    support_url = UrlField(allow_null=True)
    reporting_timezone = TimezoneField(max_length=64)
    metadata = MetadataPatchField()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


class ReadinessOutput(Output):
    """Whether something works."""

    status = EnumField(["ready", "blocked", "pending", "not_available", "not_requested"])
    next_actions = ListOf(StrictString())


class RequirementsOutput(Output):
    """What is to be handed in, by when."""

    currently_due = ListOf(StrictString())
    past_due = ListOf(StrictString())
    eventually_due = ListOf(StrictString())
    pending_verification = ListOf(StrictString())


class MerchantOutput(Output):
    """Who is owed."""

    merchant_id = IdField("mer")
    email = StrictString()
    status = EnumField(["active", "suspended", "restricted", "closed"])
    onboarding_status = EnumField(["not_started", "in_progress", "completed"])
    payments = ReadinessOutput()
    payouts = ReadinessOutput()
    requirements = RequirementsOutput()
    has_past_due = StrictBoolean()
    observed_at = TimestampField()
    version = StrictInteger(minimum=1)
    business_name = StrictString(required=False)
    phone = StrictString(required=False)
    address = AddressOutput(required=False)
    website_url = StrictString(required=False)
    support_email = StrictString(required=False)
    support_phone = StrictString(required=False)
    support_url = StrictString(required=False)
    reporting_timezone = StrictString(required=False)
    metadata = MetadataField(required=False)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


TEXTS = ("business_name", "phone", "website_url", "support_email", "support_phone", "support_url")


def shown(merchant: Merchant, environment: Environment) -> dict[str, Any]:
    """Return a merchant as it is shown to a key of one of its environments, which says where payments go."""
    # Payouts are made by whoever collects the payments.
    readiness = {"status": "ready" if environment.processor else "not_requested", "next_actions": []}
    return {
        "merchant_id": merchant.id,
        "email": merchant.email,
        "status": "active",
        "onboarding_status": "completed",
        "payments": readiness,
        "payouts": readiness,
        "requirements": {"currently_due": [], "past_due": [], "eventually_due": [], "pending_verification": []},
        "has_past_due": False,
        "observed_at": timezone.now(),
        "version": merchant.version,
        **{name: getattr(merchant, name) or None for name in TEXTS},
        "address": merchant.address,
        "reporting_timezone": merchant.reporting_timezone,
        "metadata": merchant.metadata,
        "created_at": merchant.created_at,
        "updated_at": merchant.updated_at,
    }


class MerchantView(ApiView):
    tag = "Merchants"
    scopes = {"GET": "merchants.profile.read", "PATCH": "merchants.profile.write"}
    inputs = {"PATCH": UpdateMerchantInput}
    outputs = {"GET": MerchantOutput, "PATCH": MerchantOutput}
    names = {"GET": "get_merchant", "PATCH": "update_merchant"}
    codes = {"PATCH": ["MERCHANT_CHANGED", "SCOPE_NOT_ALLOWED_FOR_KEY_MODE"]}

    def get(self, request, merchant_id):
        """Read the merchant of the key."""
        self._refuse_others(merchant_id)
        return self.reply(MerchantOutput(shown(request.environment.merchant, request.environment)))

    @idempotent
    def patch(self, request, merchant_id):
        """
        Change the merchant of the key, with a live key.

        What is left out stays; null clears. It is the same merchant in every environment; what each sandbox has for
        itself is at ``/v1/settings``.
        """
        self._refuse_others(merchant_id)
        data = self.validated(UpdateMerchantInput)
        if not request.environment.is_live:
            raise ScopeNotAllowedForKeyMode(allowed_key_modes=["live"])
        merchant = update_merchant(merchant_id=merchant_id, data=data, actor=request.actor)
        return self.reply(MerchantOutput(shown(merchant, request.environment)))

    def _refuse_others(self, merchant_id: str) -> None:
        """:raises NotFound: if it is not the merchant of the key."""
        if merchant_id != self.request.environment.merchant_id:
            raise errors.NotFound()
