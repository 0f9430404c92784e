"""What checkout sessions show. Instances are sessions read by ``payments.selectors.read_session``."""

from typing import Any

from flint.api.addresses import AddressOutput
from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    PercentField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from orders.api.serializers import OrderOutput
from orders.api.serializers.customers import CustomerSummaryOutput
from orders.models.orders import Origin
from payments.api.outputs import (
    InvoiceSummaryOutput,
    PaymentAttemptOutput,
    PaymentCollectionOutput,
    PaymentIntentSummaryOutput,
)
from payments.models import CheckoutSession
from payments.models.links import LinkStatus, LinkType
from payments.models.sessions import SessionStatus, Surface, TerminalReason


class ProblemOutput(Output):
    """Something that keeps the checkout from being completed."""

    code = EnumField(["delivery_selection_stale", "delivery_selection_invalid"])
    severity = EnumField(["error"])
    blocks_completion = StrictBoolean()


class SessionContactOutput(Output):
    """How the buyer is reached; a cleared one was taken back by the buyer."""

    email = StrictString(allow_null=True, required=False)
    phone = StrictString(allow_null=True, required=False)
    is_email_cleared = StrictBoolean()
    is_phone_cleared = StrictBoolean()
    updated_at = TimestampField(required=False)


class MerchantSupportOutput(Output):
    """Where a buyer finds help."""

    email = StrictString(required=False)


class RedirectsOutput(Output):
    """Where the buyer goes afterwards."""

    success_redirect_url = StrictString(required=False)
    cancel_redirect_url = StrictString(required=False)


class ExpirationOutput(Output):
    """How long the session was asked to live, in seconds, and where its buyer goes when it is over."""

    expires_in_seconds = StrictInteger(required=False)
    expiration_url = StrictString(required=False)


class PrefilledCustomerOutput(Output):
    """What was known of the buyer."""

    email = StrictString(required=False)
    phone = StrictString(required=False)


class CustomerPrefillOutput(PrefilledCustomerOutput):
    """What is known of the customer that the buyer acts for."""

    billing_address = AddressOutput(required=False)
    shipping_address = AddressOutput(required=False)


class CustomerCollectionOutput(Output):
    """For whom the checkout acts, and what it asks the buyer for."""

    merchant_only = {"external_reference_id"}

    customer_id = IdField("cus", required=False)
    prefilled_customer_info = PrefilledCustomerOutput(required=False)
    require_email = StrictBoolean(required=False)
    require_phone = StrictBoolean(required=False)
    external_reference_id = StrictString(required=False)


class SessionPaymentsOutput(Output):
    """How the buyer may pay."""

    merchant_only = {"external_reference_id"}

    enabled_payment_options = ListOf(StrictString(), required=False)
    payment_note = StrictString(required=False)
    external_reference_id = StrictString(required=False)


class TipSettingsOutput(Output):
    """Whether the buyer is asked for a tip, and which ones are offered, in percent."""

    enabled = StrictBoolean(required=False)
    is_custom_tip_enabled = StrictBoolean(required=False)
    tip_percent_options = ListOf(PercentField(), required=False)
    default_tip_percent = PercentField(required=False)


class TaxSettingOutput(Output):
    """Whether taxes are worked out."""

    enabled = StrictBoolean(required=False)


class PromotionConfigOutput(Output):
    """Whether the buyer may enter codes, and whether promotions apply by themselves."""

    codes_enabled = StrictBoolean(required=False)
    automatic_enabled = StrictBoolean(required=False)


class LegalOutput(Output):
    """What the buyer agrees to, or should know."""

    terms_of_service_url = StrictString(required=False)
    require_terms_of_service = StrictBoolean(required=False)
    refund_policy_url = StrictString(required=False)
    shipping_policy_url = StrictString(required=False)
    contract_url = StrictString(required=False)


class ThemeOutput(Output):
    """How the page looks."""

    title = StrictString(required=False)
    primary_color = StrictString(required=False)
    accent_color = StrictString(required=False)


class CustomTextOutput(Output):
    """Words of the merchant's own on the page."""

    order_summary_message = StrictString(required=False)
    shipping_address_label = StrictString(required=False)


class PaymentLinkSummaryOutput(Output):
    """The link that a session came from, in short."""

    payment_link_id = IdField("plink", source="id")
    name = StrictString()
    payment_link_type = EnumField(LinkType.values)
    status = EnumField(LinkStatus.values)
    url = StrictString()


class CheckoutSessionOutput(Output):
    """One buyer-facing collection of one order."""

    expandable = {"customer", "order", "payment_intents", "payment_link", "invoice"}
    merchant_only = {"customer", "payment_link", "invoice", "closed_reason", "metadata", "external_reference_id"}

    checkout_session_id = IdField("cs", source="id")
    status = EnumField(SessionStatus.values)
    surface = EnumField(Surface.values)
    recovery_mode = StrictBoolean(source="shown.recovery_mode")
    problems = ListOf(ProblemOutput(), source="shown.problems")
    delivery_method_ids = ListOf(StrictString(), source="shown.delivery_method_ids")
    delivery_selection_required = StrictBoolean(source="shown.delivery_selection_required")
    url = StrictString(required=False, source="shown.url")
    order_id = IdField("ord", required=False)
    merchant_id = IdField("mer", required=False, source="environment.merchant_id")
    origin = EnumField(Origin.values, required=False)
    payment_link_id = IdField("plink", required=False)
    invoice_id = IdField("inv", required=False)
    expires_at = TimestampField(required=False)
    terminal_reason = EnumField(TerminalReason.values, required=False, source="shown.terminal_reason")
    superseding_checkout_session_id = IdField("cs", required=False, source="superseded_by_id")
    closed_reason = StrictString(required=False, source="shown.closed_reason")
    recovery_expires_at = TimestampField(required=False, source="shown.recovery_expires_at")
    recovery_payment_attempt_id = IdField("opa", required=False, source="shown.recovery_payment_attempt_id")
    payment_collection = PaymentCollectionOutput(required=False, source="shown.payment_collection")
    active_payment_attempt = PaymentAttemptOutput(required=False, source="shown.active_payment_attempt")
    payment_intent_ids = ListOf(IdField("pi"), required=False, source="shown.payment_intent_ids")
    payment_intents = ListOf(PaymentIntentSummaryOutput(), required=False, source="shown.payment_intents")
    buyer_contact = SessionContactOutput(required=False, source="shown.buyer_contact")
    customer_prefill = CustomerPrefillOutput(required=False, source="shown.customer_prefill")
    merchant_support = MerchantSupportOutput(required=False, source="shown.merchant_support")
    save_payment_method_offered = StrictBoolean(required=False, source="shown.save_payment_method_offered")
    save_payment_method_requires_verification = StrictBoolean(
        required=False, source="shown.save_payment_method_requires_verification"
    )
    save_payment_method_phone_offered = StrictBoolean(required=False, source="shown.save_payment_method_phone_offered")
    custom_text = CustomTextOutput(required=False, source="settings.custom_text")
    customer_collection = CustomerCollectionOutput(required=False, source="settings.customer_collection")
    expiration = ExpirationOutput(required=False, source="settings.expiration")
    legal = LegalOutput(required=False, source="settings.legal")
    payments = SessionPaymentsOutput(required=False, source="settings.payments")
    promotion_config = PromotionConfigOutput(required=False, source="settings.promotion_config")
    redirects = RedirectsOutput(required=False, source="settings.redirects")
    tax = TaxSettingOutput(required=False, source="settings.tax")
    theme = ThemeOutput(required=False, source="settings.theme")
    tip = TipSettingsOutput(required=False, source="settings.tip")
    page_origin = StrictString(required=False, source="settings.page_origin")
    customer = CustomerSummaryOutput(required=False, allow_null=True)
    order = OrderOutput(required=False, allow_null=True, source="shown.order")
    payment_link = PaymentLinkSummaryOutput(required=False, allow_null=True)
    invoice = InvoiceSummaryOutput(required=False, allow_null=True)
    metadata = MetadataField(required=False, source="shown.metadata")
    external_reference_id = ExternalReferenceField(required=False, source="shown.external_reference_id")
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


class CheckoutAccessOutput(Output):
    """What lets the buyer in: the secret of the pair of headers. It is shown this once."""

    checkout_auth_token = StrictString()


class LaunchResultOutput(Output):
    """A session just opened, and how its buyer gets in."""

    checkout_session = CheckoutSessionOutput()
    checkout_access = CheckoutAccessOutput()
    reused_existing = StrictBoolean()


def launch_result(session: CheckoutSession, token: str) -> dict[str, Any]:
    """Put together what :class:`LaunchResultOutput` shows."""
    return {
        "checkout_session": session,
        "checkout_access": {"checkout_auth_token": token},
        "reused_existing": False,
    }
