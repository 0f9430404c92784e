"""What the payment operations take."""

from flint.api.fields import (
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MoneyField,
    PhoneField,
    StrictBoolean,
    StrictString,
)
from flint.api.serializers import Input, Tagged
from payments.models.attempts import CompletionBehavior
from payments.models.intents import CaptureMethod

MAX_URL = 2048
CANCELLATION_REASONS = ["requested_by_customer", "duplicate", "fraudulent", "abandoned"]
PAYMENT_OPTIONS = ["card", "apple_pay", "google_pay", "affirm", "ach_debit"]


def token_field() -> StrictString:
    """Return the field of a token that a processor made."""
    return StrictString(max_length=255, required=False, code="INVALID_PAYMENT_SOURCE")


def us_phone_field() -> StrictString:
    """Return the field of a number that a text about a saved card would go to."""
    return StrictString(
        max_length=16,
        required=False,
        pattern=r"\+1[2-9][0-9]{2}[2-9][0-9]{6}",
        code="SAVE_PAYMENT_METHOD_PHONE_INVALID",
    )


class Credential(Input):
    """A payment source, exactly one: a processor's token, a confirmation token, or a saved payment method."""

    token = token_field()
    confirmation_token = token_field()
    payment_method_id = IdField("pm", required=False)


class PaymentSourceInput(Credential):
    """What to pay with: exactly one credential."""

    def validate(self, attrs):
        if not attrs:
            words = "Send a 'token', a 'confirmation_token' or a 'payment_method_id'."
            self.refuse("INVALID_PAYMENT_SOURCE", words, "token")
        return attrs


class BuyerContactInput(Input):
    """How to reach the buyer about this payment. It does not change the customer."""

    email = EmailField(required=False, allow_null=True)
    phone = PhoneField(required=False, allow_null=True)


class PayAllInput(Input):
    """Collect everything that is outstanding."""

    reserved = {"accepted_gift_card_allocation"}

    save_payment_method = StrictBoolean(required=False)
    save_payment_method_phone = us_phone_field()
    payment_source = PaymentSourceInput(required=False)
    expected_outstanding_money = MoneyField(required=False)
    buyer_contact = BuyerContactInput(required=False)


class ChosenIntentInput(Credential):
    """A payment intent of the order, and what to pay it with."""

    payment_intent_id = IdField("pi")


class ConfirmIntentsInput(Input):
    """Confirm chosen payment intents of the order."""

    reserved = {"accepted_gift_card_allocation"}

    save_payment_method = StrictBoolean(required=False)
    save_payment_method_phone = us_phone_field()
    payment_intents = ListOf(ChosenIntentInput(), min_length=1, max_length=20)
    completion_behavior = EnumField(CompletionBehavior.values, required=False, code="INVALID_COMPLETION_BEHAVIOR")
    expected_outstanding_money = MoneyField(required=False)
    buyer_contact = BuyerContactInput(required=False)


class ResumeInput(Input):
    """Go on with an attempt after the buyer's step."""

    order_payment_attempt_id = IdField("opa")
    expected_outstanding_money = MoneyField(required=False)
    buyer_contact = BuyerContactInput(required=False)


class PayInput(Tagged):
    """Pay an order, or go on paying it."""

    tag = "action"
    codes = {"choice": "INVALID_ACTION"}
    variants = {"pay": PayAllInput, "confirm_payment_intents": ConfirmIntentsInput, "resume": ResumeInput}


class SourceSelectionInput(Input):
    """Which kinds of card collection the page offers."""

    digital_wallets = ListOf(EnumField(["apple_pay", "google_pay"]), max_length=2, required=False)


class PaymentSourceSelectionInput(Input):
    """How the buyer may choose a source."""

    card = SourceSelectionInput(required=False)


class CreateLegInput(Input):
    """A fixed part of what the order owes; all of it when no amount is named."""

    body_optional = True

    amount_money = MoneyField(min_amount=1, required=False, code_below="AMOUNT_TOO_SMALL")
    capture_method = EnumField(CaptureMethod.values, required=False, code="INVALID_CAPTURE_METHOD")
    payment_options = ListOf(
        EnumField(PAYMENT_OPTIONS, code="INVALID_PAYMENT_OPTIONS"), min_length=1, max_length=5, required=False
    )
    payment_return_url = StrictString(max_length=MAX_URL, required=False, pattern=r"^https?://[^\s]+$")
    payment_source_selection = PaymentSourceSelectionInput(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)


class CaptureInput(Input):
    """How much of a hold to take; all of it when no amount is named."""

    body_optional = True

    amount_money = MoneyField(required=False)
    order_payment_attempt_id = IdField("opa", required=False)


class CancelInput(Input):
    """Why a payment is canceled."""

    body_optional = True

    cancellation_reason = EnumField(CANCELLATION_REASONS, required=False, code="INVALID_CANCELLATION_REASON")


class CancelLegInput(CancelInput):
    """Why a payment intent is canceled, and as part of which attempt."""

    order_payment_attempt_id = IdField("opa", required=False)
