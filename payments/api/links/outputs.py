"""What payment links show: all to their merchant, to buyers what is theirs to know."""

from typing import Any

from flint.api import wire
from flint.api.fields import (
    CodedField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from payments.api.links.inputs import FIELD_TYPES
from payments.api.sessions.outputs import (
    CustomTextOutput,
    ExpirationOutput,
    LegalOutput,
    PromotionConfigOutput,
    RedirectsOutput,
    SessionPaymentsOutput,
    TaxSettingOutput,
    ThemeOutput,
    TipSettingsOutput,
)
from payments.models import PaymentLink
from payments.models.links import LinkStatus, LinkType, money_in
from payments.services.links.context import Context
from payments.services.links.looks import theme_of


class KeptMoneyField(CodedField):
    """An amount that is kept as it is written on the wire."""

    def openapi(self, schema, direction):
        return {"$ref": "#/components/schemas/Money"}


class LinkLineTaxOutput(Output):
    """How a line is taxed."""

    taxable = StrictBoolean(required=False)
    line_item_tax_category = StrictString(required=False)


class LinkLineItemOutput(Output):
    """A line that buyers are offered."""

    payment_link_line_item_id = IdField("pli", source="id")
    key = StrictString()
    name = StrictString()
    description = StrictString(required=False)
    quantity = StrictInteger(minimum=1)
    allow_quantity_adjustment = StrictBoolean(required=False)
    min_quantity = StrictInteger(minimum=1, required=False)
    max_quantity = StrictInteger(minimum=1, required=False)
    unit_price_money = KeptMoneyField(required=False)
    allow_unit_price_adjustment = StrictBoolean(required=False)
    min_unit_price_money = KeptMoneyField(required=False)
    max_unit_price_money = KeptMoneyField(required=False)
    suggested_unit_price_money_options = ListOf(KeptMoneyField(), required=False)
    tax = LinkLineTaxOutput(required=False)


class LinkCustomFieldOutput(Output):
    """Something that the buyer is asked for."""

    payment_link_custom_field_id = IdField("plf", source="id")
    key = StrictString()
    label = StrictString()
    custom_field_type = EnumField(FIELD_TYPES)
    required = StrictBoolean()
    placeholder = StrictString(required=False)
    position = StrictInteger(minimum=0)
    options = ListOf(StrictString(), required=False)
    max_length = StrictInteger(minimum=1, required=False)


class LinkImageOutput(Output):
    """A picture of what is sold."""

    source_url = StrictString()
    alt = StrictString(required=False)
    external_reference_id = ExternalReferenceField(required=False)


class LinkCustomerCollectionOutput(Output):
    """What each checkout asks its buyer for."""

    require_email = StrictBoolean(required=False)


class LinkForBuyersOutput(Output):
    """A link as its buyers see it: nothing of where they are sent afterwards, or of the merchant's own notes."""

    payment_link_id = IdField("plink", source="id")
    name = StrictString()
    description = StrictString(required=False)
    image = LinkImageOutput(required=False)
    payment_link_type = EnumField(LinkType.values)
    status = EnumField(LinkStatus.values)
    version = StrictInteger(minimum=1)
    line_items = ListOf(LinkLineItemOutput())
    custom_fields = ListOf(LinkCustomFieldOutput())
    donation_min_amount_money = KeptMoneyField(required=False, source="donation.donation_min_amount_money")
    donation_max_amount_money = KeptMoneyField(required=False, source="donation.donation_max_amount_money")
    donation_suggested_amount_money_options = ListOf(
        KeptMoneyField(), required=False, source="donation.donation_suggested_amount_money_options"
    )
    max_completions = StrictInteger(minimum=1, required=False)
    completed_count = StrictInteger(minimum=0)
    payments = SessionPaymentsOutput(required=False, source="settings.payments")
    legal = LegalOutput(required=False, source="settings.legal")
    theme = ThemeOutput(required=False, source="settings.theme")
    custom_text = CustomTextOutput(required=False, source="settings.custom_text")
    inactive_message = StrictString(required=False)


class PaymentLinkOutput(LinkForBuyersOutput):
    """What buyers may order by themselves, over and over."""

    url = StrictString()
    customer_collection = LinkCustomerCollectionOutput(required=False, source="settings.customer_collection")
    expiration = ExpirationOutput(required=False, source="settings.expiration")
    redirects = RedirectsOutput(required=False, source="settings.redirects")
    promotion_config = PromotionConfigOutput(required=False, source="settings.promotion_config")
    tip = TipSettingsOutput(required=False, source="settings.tip")
    tax = TaxSettingOutput(required=False, source="settings.tax")
    merchant_id = IdField("mer", required=False, source="environment.merchant_id")
    metadata = MetadataField(required=False)
    external_reference_id = StrictString(required=False)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


class ResolvedLineItemOutput(Output):
    """What a line is at this moment."""

    key = StrictString()
    name = StrictString()
    description = StrictString(required=False)
    unit_price_money = KeptMoneyField(required=False)
    is_stock_tracked = StrictBoolean()


class PublicPaymentLinkOutput(Output):
    """What a buyer's browser needs to offer a link, and the context by which it is resolved."""

    payment_link = LinkForBuyersOutput()
    resolution_context = StrictString()
    resolution_context_expires_at = TimestampField()
    resolution_context_start_deadline_at = TimestampField()
    resolved_line_items = ListOf(ResolvedLineItemOutput(), required=False)
    merchant_name = StrictString(required=False)
    checkout_theme = ThemeOutput(required=False)
    remaining_quantity = StrictInteger(minimum=0, required=False)
    is_sold_out = StrictBoolean(required=False)


def public_view(link: PaymentLink, context: Context) -> dict[str, Any]:
    """Put together what :class:`PublicPaymentLinkOutput` shows."""
    left = None if link.max_completions is None else max(link.max_completions - link.completed_count, 0)
    return {
        "payment_link": link,
        "resolution_context": context.token,
        "resolution_context_expires_at": context.expires_at,
        "resolution_context_start_deadline_at": context.start_deadline_at,
        "resolved_line_items": [
            {
                "key": line["key"],
                "name": line["name"],
                "description": line.get("description"),
                "unit_price_money": wire.wire_money(price) if (price := money_in(line, "unit_price_money")) else None,
                "is_stock_tracked": False,
            }
            for line in link.line_items
        ],
        "merchant_name": str(link.environment.merchant),
        "checkout_theme": theme_of(link) or None,
        "remaining_quantity": left,
        "is_sold_out": left == 0 if left is not None else None,
    }


class PayLinkOutput(Output):
    """An address by which a buyer pays what an order owes when they open it."""

    pay_link_id = IdField("opl", source="id")
    order_id = IdField("ord")
    url = StrictString()
    created_at = TimestampField()
