"""What a merchant chooses once for all of its checkouts."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.api.fields import EnumField, ListOf, PercentField, StrictBoolean, StrictInteger
from flint.api.serializers import Input
from flint.errors import InvalidInput
from flint.merchants.models import Environment
from flint.merchants.settings import Section, SectionInput, declare
from payments.api.inputs import PAYMENT_OPTIONS

SHORTEST, LONGEST = 60, 86_400
"""How long a session may live, in seconds."""

USUAL_DELAY = 3_600


class SavedPaymentDetailsInput(Input):
    """Whether buyers may save a card while paying, and pay with what they saved."""

    enabled = StrictBoolean(label="Let buyers save cards")


class RecoveryEmailInput(Input):
    """Whether a buyer who left an address and did not pay is written to, once, and after how long."""

    enabled = StrictBoolean(label="Write to buyers who left")
    delay_seconds = StrictInteger(
        minimum=900,
        maximum=86_400,
        required=False,
        code="INVALID_RECOVERY_EMAIL_DELAY",
        label="After",
        help_text="Seconds, in whole minutes, from a quarter of an hour (900) to a day (86400).",
    )
    refusals = ("INVALID_RECOVERY_EMAIL_DELAY",)

    def validate(self, attrs):
        if attrs.get("delay_seconds", 60) % 60:
            self.refuse("INVALID_RECOVERY_EMAIL_DELAY", "Name whole minutes.", "delay_seconds")
        return {"delay_seconds": USUAL_DELAY, **attrs}


def check_recovery(checkout: Mapping[str, Any], actor: Actor) -> None:
    """:raises InvalidInput: if buyers who left are written to, and no postal address says by whom."""
    if not checkout["recovery_email"]["enabled"]:
        return
    address = Environment.objects.values_list("merchant__address", flat=True).get(id=actor.environment_id)
    if not address:
        raise InvalidInput(
            "Add the business address first: a message that nobody asked for says who writes, and where they are.",
            code="BUSINESS_ADDRESS_REQUIRED",
            param="checkout.recovery_email.enabled",
        )


class CheckoutSettingsInput(SectionInput):
    """Checkout sessions."""

    refusals = ("BUSINESS_ADDRESS_REQUIRED",)

    default_expires_in_seconds = StrictInteger(
        minimum=SHORTEST,
        maximum=LONGEST,
        code="INVALID_EXPIRATION",
        label="A checkout stays open for, in seconds",
        help_text="From a minute (60) to a day (86400).",
    )
    enabled_payment_options = ListOf(
        EnumField(PAYMENT_OPTIONS, code="INVALID_PAYMENT_OPTIONS"),
        min_length=1,
        max_length=5,
        code_few="INVALID_PAYMENT_OPTIONS",
        label="Payment options",
        help_text="Every one that the processor offers, if none is chosen.",
    )
    saved_payment_details = SavedPaymentDetailsInput(label="Saved cards")
    recovery_email = RecoveryEmailInput(label="Abandoned checkouts")
    require_email = StrictBoolean(label="Ask every buyer for an email address")
    require_phone = StrictBoolean(label="Ask every buyer for a phone number")


class TippingSettingsInput(SectionInput):
    """Tips."""

    enabled = StrictBoolean(label="Ask for a tip")
    is_custom_tip_enabled = StrictBoolean(label="Let the buyer enter an amount")
    tip_percent_options = ListOf(
        PercentField(minimum=PercentField.STEPS, code="INVALID_TIP_PERCENT"),
        min_length=3,
        max_length=3,
        code="INVALID_TIP_PERCENT",
        label="What is offered",
        help_text="Three percentages, such as 10, 15, 20.",
    )


declare(
    Section(
        "checkout",
        "Checkout",
        CheckoutSettingsInput,
        defaults={
            "default_expires_in_seconds": LONGEST,
            "require_email": False,
            "require_phone": False,
            "saved_payment_details": {"enabled": True},
            "recovery_email": {"enabled": False, "delay_seconds": USUAL_DELAY},
        },
        explanation="How a new checkout behaves where it chooses nothing of its own.",
        check=check_recovery,
    )
)
declare(
    Section(
        "tipping",
        "Tipping",
        TippingSettingsInput,
        defaults={"enabled": False, "is_custom_tip_enabled": False},
        explanation="Whether a new checkout asks for a tip where it says nothing of its own.",
    )
)
