"""What checkout sessions take. The parts that are kept and echoed as sent are :class:`SessionSettings`."""

from django.db.models import Q

from flint.api.fields import (
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    PercentField,
    PhoneField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    UrlField,
)
from flint.api.queries import CreatedFilter, Expand, ListQuery, Query, TimestampField, UpdatedFilter
from flint.api.serializers import Input, Patch
from orders.api.serializers.taxes import LineItemTaxInput
from orders.models.orders import Origin
from payments.api.inputs import PAYMENT_OPTIONS
from payments.models.sessions import SessionStatus, Surface

SHORTEST, LONGEST = 60, 86_400
"""How long a session may live, in seconds."""

EXPANDABLE = ["customer", "order", "payment_intents", "payment_link", "invoice"]


class QuickPayItemInput(Input):
    """One thing to sell: makes an order of one line."""

    name = StrictString(code_required="LINE_ITEM_NAME_REQUIRED", code_too_long="LINE_ITEM_NAME_TOO_LONG")
    amount_money = MoneyField(min_amount=1, code_below="AMOUNT_TOO_SMALL")
    tax = LineItemTaxInput(required=False)


class RedirectsInput(Input):
    """Where the buyer goes afterwards."""

    success_redirect_url = UrlField(required=False)
    cancel_redirect_url = UrlField(required=False)


class ExpirationInput(Input):
    """How long the session lives, and where its buyer goes when it is over."""

    expires_in_seconds = StrictInteger(minimum=SHORTEST, maximum=LONGEST, required=False, code="INVALID_EXPIRATION")
    expiration_url = UrlField(required=False)


class PrefilledCustomerInput(Input):
    """What is known of the buyer already."""

    reserved = {"billing_address", "shipping_address"}

    email = EmailField(required=False)
    phone = PhoneField(required=False)


class CustomerCollectionInput(Input):
    """For whom the checkout acts, and what it asks the buyer for."""

    reserved = {"require_billing_address", "enable_address_autocomplete"}

    customer_id = IdField("cus", required=False)
    prefilled_customer_info = PrefilledCustomerInput(required=False)
    require_email = StrictBoolean(required=False)
    require_phone = StrictBoolean(required=False)
    external_reference_id = ExternalReferenceField(required=False)


class SessionPaymentsInput(Input):
    """How the buyer may pay."""

    enabled_payment_options = ListOf(
        EnumField(PAYMENT_OPTIONS, code="INVALID_PAYMENT_OPTIONS"), min_length=1, max_length=5, required=False
    )
    payment_note = StrictString(max_length=500, required=False)
    external_reference_id = ExternalReferenceField(required=False)


class SessionTipInput(Input):
    """Whether the buyer is asked for a tip, and which ones are offered, in percent."""

    reserved = {"is_smart_tips_enabled", "smart_tip_money_options", "default_smart_tip_money"}

    enabled = StrictBoolean(required=False)
    is_custom_tip_enabled = StrictBoolean(required=False)
    tip_percent_options = ListOf(
        PercentField(minimum=PercentField.STEPS, code="INVALID_TIP_PERCENT"),
        min_length=3,
        max_length=3,
        required=False,
        code="INVALID_TIP_PERCENT",
    )
    default_tip_percent = PercentField(minimum=PercentField.STEPS, required=False, code="INVALID_TIP_PERCENT")
    refusals = ("INVALID_TIP_PERCENT",)

    def validate(self, attrs):
        default, options = attrs.get("default_tip_percent"), attrs.get("tip_percent_options", [])
        if default is not None and default not in options:
            self.refuse("INVALID_TIP_PERCENT", "The default is one of the three options.", "default_tip_percent")
        return attrs


class TaxSettingInput(Input):
    """Whether taxes are worked out. Those on the order are charged in any case."""

    enabled = StrictBoolean(required=False)


class PromotionConfigInput(Input):
    """Whether the buyer may enter codes, and whether promotions apply by themselves; null is the merchant's default."""

    codes_enabled = StrictBoolean(required=False, allow_null=True)
    automatic_enabled = StrictBoolean(required=False, allow_null=True)


class LegalInput(Input):
    """What the buyer agrees to, or should know."""

    terms_of_service_url = UrlField(required=False)
    require_terms_of_service = StrictBoolean(required=False)
    refund_policy_url = UrlField(required=False)
    shipping_policy_url = UrlField(required=False)
    contract_url = UrlField(required=False)


class ThemeInput(Input):
    """How the page looks. Text on a colour is made black or white, whichever is easier to read."""

    title = StrictString(max_length=120, required=False)
    primary_color = StrictString(required=False, pattern="#[0-9a-fA-F]{6}", code="INVALID_THEME_COLOR")
    accent_color = StrictString(required=False, pattern="#[0-9a-fA-F]{6}", code="INVALID_THEME_COLOR")


class CustomTextInput(Input):
    """Words of the merchant's own on the page."""

    order_summary_message = StrictString(max_length=500, required=False)
    shipping_address_label = StrictString(max_length=120, required=False)


class SessionSettings(Input):
    """How a session looks and behaves."""

    redirects = RedirectsInput(required=False)
    expiration = ExpirationInput(required=False)
    customer_collection = CustomerCollectionInput(required=False)
    payments = SessionPaymentsInput(required=False)
    tip = SessionTipInput(required=False)
    tax = TaxSettingInput(required=False)
    promotion_config = PromotionConfigInput(required=False)
    legal = LegalInput(required=False)
    theme = ThemeInput(required=False)
    custom_text = CustomTextInput(required=False)


class CreateSessionInput(SessionSettings):
    """What to collect, and how: an order, or one item that an order is made of."""

    reserved = {"subscription_plan_id", "subscription_terms", "delivery_method_ids"}
    refusals = (
        "CHECKOUT_SESSION_SOURCE_REQUIRED",
        "CHECKOUT_SESSION_SOURCE_CONFLICT",
        "EMBEDDED_PAYMENT_RETURN_URL_REQUIRED",
    )

    order_id = IdField("ord", required=False)
    quick_pay_item = QuickPayItemInput(required=False)
    replace_checkout_session_id = IdField("cs", required=False)
    surface = EnumField(Surface.values, required=False, code="INVALID_CHECKOUT_SURFACE")
    page_origin = UrlField(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        sources = [name for name in ("order_id", "quick_pay_item") if name in attrs]
        if not sources:
            self.refuse("CHECKOUT_SESSION_SOURCE_REQUIRED", "Send an 'order_id' or a 'quick_pay_item'.")
        if len(sources) > 1:
            self.refuse("CHECKOUT_SESSION_SOURCE_CONFLICT", "Send either an 'order_id' or a 'quick_pay_item'.")
        redirecting = {"affirm"} & set(attrs.get("payments", {}).get("enabled_payment_options", ()))
        has_return = "success_redirect_url" in attrs.get("redirects", {})
        if attrs.get("surface") == Surface.EMBEDDED and redirecting and not has_return:
            self.refuse(
                "EMBEDDED_PAYMENT_RETURN_URL_REQUIRED",
                "A payment option that leaves the page needs an address to come back to.",
                "redirects",
            )
        return attrs


class SessionContactInput(Input):
    """How the buyer is reached; null clears."""

    email = EmailField(required=False, allow_null=True)
    phone = StrictString(required=False, allow_null=True, pattern=r"\+[1-9][0-9]{1,14}", code="INVALID_PHONE_FORMAT")


class UpdateSessionInput(Patch):
    """A merchant changes metadata and reference, a buyer contact and time zone."""

    metadata = MetadataPatchField()
    external_reference_id = ExternalReferenceField(allow_null=True)
    buyer_contact = SessionContactInput()
    timezone = StrictString(max_length=64, code="INVALID_TIMEZONE")


class CloseSessionInput(Input):
    """Why the session is closed: a private note."""

    body_optional = True

    reason_message = StrictString(max_length=500, required=False)


class ReadSessionQuery(Query):
    """How to show a session."""

    expand = Expand(EXPANDABLE)


class SessionQuery(CreatedFilter, UpdatedFilter, ListQuery):
    """Which sessions to list."""

    sorts = {"created_at": "created_at", "updated_at": "updated_at"}

    status = EnumField(SessionStatus.values, required=False, code="INVALID_CHECKOUT_SESSION_STATUS", lookup="status")
    order_id = IdField("ord", required=False, lookup="order_id")
    customer_id = IdField("cus", required=False, lookup="customer_id")
    origin = EnumField(Origin.values, required=False, code="INVALID_ORIGIN", lookup="origin")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    expires_after = TimestampField(required=False, code="INVALID_EXPIRES_AFTER", lookup="expires_at__gte")
    expires_before = TimestampField(required=False, code="INVALID_EXPIRES_BEFORE", lookup="expires_at__lt")
    query = StrictString(required=False, code="INVALID_QUERY")

    def apply(self, rows):
        rows = super().apply(rows)
        if "query" not in self.values:
            return rows
        text = self.values["query"].strip()
        return rows.filter(
            Q(id=text)
            | Q(order_id=text)
            | Q(order__order_number=text.upper())
            | Q(contact_email__iexact=text)
            | Q(external_reference_id=text)
        )
