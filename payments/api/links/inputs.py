"""What payment links take, and what a buyer's resolve does. What has to fit together is checked by the services."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import wire
from flint.api.fields import (
    CodedField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    UrlField,
)
from flint.api.queries import CreatedFilter, Expand, Flag, ListQuery, Query
from flint.api.serializers import Input, Patch
from orders.api.serializers.inputs import CATALOG
from orders.api.serializers.parts import LINE_TAX_CATEGORIES
from payments.api.sessions.inputs import (
    CustomTextInput,
    ExpirationInput,
    LegalInput,
    PromotionConfigInput,
    RedirectsInput,
    SessionPaymentsInput,
    SessionTipInput,
    TaxSettingInput,
    ThemeInput,
)
from payments.models.links import LinkStatus, LinkType

MAX_LINES = 100
MAX_FIELDS = 20
MAX_OPTIONS = 100
MAX_SUGGESTIONS = 10
MAX_QUANTITY = 1_000_000
FIELD_TYPES = ("text", "textarea", "dropdown", "checkbox")
EVENT = "event"
LATER = frozenset({"event_config", "subscription_plan_id", "delivery_method_ids", "inventory_routing_source"})
"""Members of the contract for tickets, plans, delivery and stock, which this installation has none of."""

REFUSED_BY_LINKS = [
    "INVALID_QUANTITY_RANGE",
    "INVALID_AMOUNT_RANGE",
    "AMOUNT_REQUIRED",
    "SUGGESTED_AMOUNT_BELOW_MIN",
    "SUGGESTED_AMOUNT_ABOVE_MAX",
    "CURRENCY_MISMATCH",
    "MISSING_LINE_ITEMS",
    "DUPLICATE_LINE_ITEM_KEY",
    "UNKNOWN_PAYMENT_LINK_LINE_ITEM_ID",
    "DUPLICATE_PAYMENT_LINK_LINE_ITEM_ID",
    "UNKNOWN_PAYMENT_LINK_CUSTOM_FIELD_ID",
    "DUPLICATE_PAYMENT_LINK_CUSTOM_FIELD_ID",
    "DUPLICATE_CUSTOM_FIELD_KEY",
    "DROPDOWN_OPTIONS_REQUIRED",
    "CUSTOM_FIELD_OPTION_DUPLICATE",
    "CUSTOM_FIELD_OPTION_NOT_APPLICABLE",
    "MAX_LENGTH_NOT_APPLICABLE",
    "DONATION_CONFIG_NOT_APPLICABLE",
    "DONATION_LINE_ITEMS_NOT_ALLOWED",
    "DONATION_TAX_NOT_ALLOWED",
    "DONATION_TIP_NOT_ALLOWED",
    "DONATION_PROMOTION_NOT_ALLOWED",
    "INVALID_DONATION_AMOUNT_RANGE",
    "PAYMENT_LINK_METADATA_TOO_MANY_KEYS",
    "PAYMENT_LINK_METADATA_TOO_LARGE",
]
"""What the services refuse of a link that does not fit together."""


class MapOf(CodedField):
    """An object whose member names are the caller's own, with one kind of value."""

    codes = {"type": "INVALID_REQUEST", "many": "RESOURCE_LIMIT_EXCEEDED"}
    default_error_messages = {
        "type": "This field is an object.",
        "many": "This object has at most {max_length} members.",
    }

    def __init__(self, child: serializers.Field, *, max_length: int = 100, **kwargs):
        self.child, self.max_length = child, max_length
        super().__init__(**kwargs)
        self.child.bind(field_name="", parent=self)

    def possible_codes(self):
        return super().possible_codes() | self.child.possible_codes()

    def to_internal_value(self, data):
        if not isinstance(data, Mapping) or not all(wire.is_storable(key) for key in data):
            self.fail("type")
        if len(data) > self.max_length:
            self.fail("many", max_length=self.max_length)
        values, errors = {}, {}
        for key, item in data.items():
            try:
                values[key] = self.child.run_validation(item)
            except ValidationError as error:
                errors[key] = error.detail
        if errors:
            raise ValidationError(errors)
        return values

    def openapi(self, schema, direction):
        return {
            "type": "object",
            "additionalProperties": schema.map_field(self.child, direction),
            "maxProperties": self.max_length,
        }


class AnswerField(CodedField):
    """The answer to a custom field: a text, or true and false for a checkbox."""

    codes = {"type": "INVALID_REQUEST", "too_long": "CUSTOM_FIELD_VALUE_TOO_LONG"}
    default_error_messages = {"type": "An answer is a text, true or false.", "too_long": "The answer is too long."}

    def to_internal_value(self, data):
        if not isinstance(data, bool) and not (isinstance(data, str) and wire.is_storable(data)):
            self.fail("type")
        if isinstance(data, str) and len(data) > 4_096:
            self.fail("too_long")
        return data

    def openapi(self, schema, direction):
        return {"type": ["string", "boolean"], "maxLength": 4_096}


class LinkLineTaxInput(Input):
    """How a line is taxed."""

    taxable = StrictBoolean(required=False)
    line_item_tax_category = EnumField(LINE_TAX_CATEGORIES, required=False, code="INVALID_TAX_CATEGORY")


class LinkLineItemInput(Input):
    """A line that buyers are offered, and how far they may change it. Without a key it gets one from its name."""

    reserved = CATALOG

    payment_link_line_item_id = IdField("pli", required=False)
    key = StrictString(required=False, max_length=255, pattern=r"(?!\s)(?s:.*)(?<!\s)", code="INVALID_LINE_ITEM_KEY")
    name = StrictString(code_required="LINE_ITEM_NAME_REQUIRED", code_too_long="LINE_ITEM_NAME_TOO_LONG")
    description = StrictString(min_length=0, max_length=2_000, required=False)
    quantity = StrictInteger(
        minimum=1,
        maximum=MAX_QUANTITY,
        required=False,
        code="LINE_ITEM_INVALID_QUANTITY",
        code_above="LINE_ITEM_QUANTITY_TOO_LARGE",
    )
    allow_quantity_adjustment = StrictBoolean(required=False)
    min_quantity = StrictInteger(minimum=1, maximum=MAX_QUANTITY, required=False, code="INVALID_QUANTITY_RANGE")
    max_quantity = StrictInteger(minimum=1, maximum=MAX_QUANTITY, required=False, code="INVALID_QUANTITY_RANGE")
    unit_price_money = MoneyField(required=False, code_negative="LINE_ITEM_NEGATIVE_PRICE")
    allow_unit_price_adjustment = StrictBoolean(required=False)
    min_unit_price_money = MoneyField(required=False)
    max_unit_price_money = MoneyField(required=False)
    suggested_unit_price_money_options = ListOf(
        MoneyField(), required=False, max_length=MAX_SUGGESTIONS, code_many="TOO_MANY_SUGGESTED_AMOUNTS"
    )
    tax = LinkLineTaxInput(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and (sources := CATALOG & set(data)):
            # Name and price come from the catalog then, so it would mislead to ask for them.
            self.refuse(
                "RESERVED_FIELD_NOT_YET_SUPPORTED",
                "This installation has no catalog yet. Send a name and a unit_price_money.",
                min(sources),
            )
        return super().to_internal_value(data)


class ReplacedLinkLineItemInput(LinkLineItemInput):
    """A line in a list that replaces the link's lines. Naming its id keeps it the same line."""

    quantity = StrictInteger(
        minimum=1,
        maximum=MAX_QUANTITY,
        code="LINE_ITEM_INVALID_QUANTITY",
        code_above="LINE_ITEM_QUANTITY_TOO_LARGE",
    )


class LinkCustomFieldInput(Input):
    """Something that the buyer is asked for. The answer is kept in the order's metadata as `custom_field_<key>`."""

    payment_link_custom_field_id = IdField("plf", required=False)
    key = StrictString(
        max_length=243, code_required="CUSTOM_FIELD_KEY_REQUIRED", code_too_long="CUSTOM_FIELD_KEY_TOO_LONG"
    )
    label = StrictString(code_required="CUSTOM_FIELD_LABEL_REQUIRED")
    custom_field_type = EnumField(FIELD_TYPES, code="INVALID_PAYMENT_LINK_CUSTOM_FIELD_TYPE")
    required = StrictBoolean(required=False)
    placeholder = StrictString(min_length=0, required=False)
    position = StrictInteger(minimum=0, maximum=1_000, required=False)
    options = ListOf(
        StrictString(code_required="CUSTOM_FIELD_OPTION_REQUIRED", code_too_long="CUSTOM_FIELD_OPTION_TOO_LONG"),
        required=False,
        max_length=MAX_OPTIONS,
        code_many="CUSTOM_FIELD_OPTION_TOO_MANY",
    )
    max_length = StrictInteger(minimum=1, maximum=4_096, required=False, code="INVALID_MAX_LENGTH")


class LinkImageInput(Input):
    """A picture of what is sold."""

    source_url = UrlField()
    alt = StrictString(min_length=0, required=False)
    external_reference_id = ExternalReferenceField(required=False)


class LinkCustomerCollectionInput(Input):
    """What each checkout asks its buyer for."""

    reserved = {"enable_address_autocomplete"}

    require_email = StrictBoolean(required=False)


class LinkSettings(Input):
    """What each session of the link is opened with."""

    customer_collection = LinkCustomerCollectionInput(required=False)
    expiration = ExpirationInput(required=False)
    redirects = RedirectsInput(required=False)
    payments = SessionPaymentsInput(required=False)
    promotion_config = PromotionConfigInput(required=False)
    tip = SessionTipInput(required=False)
    tax = TaxSettingInput(required=False)
    theme = ThemeInput(required=False)
    legal = LegalInput(required=False)
    custom_text = CustomTextInput(required=False)


def _suggested(**options) -> ListOf:
    return ListOf(
        MoneyField(min_amount=1, code_below="INVALID_DONATION_AMOUNT"),
        required=False,
        max_length=MAX_SUGGESTIONS,
        code_many="TOO_MANY_SUGGESTED_AMOUNTS",
        **options,
    )


def _donated(**options) -> MoneyField:
    return MoneyField(min_amount=1, required=False, code_below="INVALID_DONATION_AMOUNT", **options)


def _completions(**options) -> StrictInteger:
    return StrictInteger(minimum=1, maximum=2**31 - 1, required=False, code="INVALID_MAX_COMPLETIONS", **options)


class CreateLinkInput(LinkSettings):
    """What buyers may order by themselves."""

    reserved = LATER

    name = StrictString()
    payment_link_type = EnumField(LinkType.values, code="INVALID_PAYMENT_LINK_TYPE")
    description = StrictString(min_length=0, max_length=2_000, required=False)
    image = LinkImageInput(required=False)
    inactive_message = StrictString(min_length=0, max_length=500, required=False)
    line_items = ListOf(LinkLineItemInput(), required=False, max_length=MAX_LINES, code_many="TOO_MANY_LINE_ITEMS")
    max_completions = _completions()
    custom_fields = ListOf(
        LinkCustomFieldInput(), required=False, max_length=MAX_FIELDS, code_many="TOO_MANY_CUSTOM_FIELDS"
    )
    donation_min_amount_money = _donated()
    donation_max_amount_money = _donated()
    donation_suggested_amount_money_options = _suggested()
    metadata = MetadataField(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    refusals = ("RESERVED_FIELD_NOT_YET_SUPPORTED",)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and data.get("payment_link_type") == EVENT:
            detail = ErrorDetail("This installation sells no tickets yet.", "RESERVED_FIELD_NOT_YET_SUPPORTED")
            raise ValidationError({"payment_link_type": [detail]})
        return super().to_internal_value(data)


class UpdateLinkInput(Patch):
    """A change of a link. Lists replace what was there, and need the version that was looked at."""

    reserved = LATER
    guards = ("expected_version",)

    name = StrictString()
    description = StrictString(min_length=0, max_length=2_000)
    status = EnumField(LinkStatus.values, code="INVALID_PAYMENT_LINK_STATUS")
    image = LinkImageInput(allow_null=True)
    inactive_message = StrictString(min_length=0, max_length=500)
    line_items = ListOf(ReplacedLinkLineItemInput(), max_length=MAX_LINES, code_many="TOO_MANY_LINE_ITEMS")
    max_completions = _completions(allow_null=True)
    custom_fields = ListOf(LinkCustomFieldInput(), max_length=MAX_FIELDS, code_many="TOO_MANY_CUSTOM_FIELDS")
    donation_min_amount_money = _donated(allow_null=True)
    donation_max_amount_money = _donated(allow_null=True)
    donation_suggested_amount_money_options = _suggested()
    customer_collection = LinkCustomerCollectionInput()
    expiration = ExpirationInput()
    redirects = RedirectsInput()
    payments = SessionPaymentsInput()
    promotion_config = PromotionConfigInput()
    tip = SessionTipInput()
    tax = TaxSettingInput()
    theme = ThemeInput()
    legal = LegalInput()
    custom_text = CustomTextInput()
    metadata = MetadataPatchField()
    external_reference_id = ExternalReferenceField(allow_null=True)
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


class ResolveLinkInput(Input):
    """
    What a buyer chose of a link: by the key of a line how many and at what price, by the key of a field the answer.

    The amount of a donation is a price under the key `donation`.
    """

    reserved = {"modifiers"}

    resolution_context = StrictString(
        max_length=2_048,
        code="PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID",
        code_required="PAYMENT_LINK_RESOLUTION_CONTEXT_REQUIRED",
    )
    quantity_overrides = MapOf(
        StrictInteger(
            minimum=1, maximum=MAX_QUANTITY, code_below="QUANTITY_BELOW_MIN", code_above="QUANTITY_ABOVE_MAX"
        ),
        required=False,
    )
    unit_price_overrides = MapOf(MoneyField(), required=False)
    custom_field_values = MapOf(AnswerField(), required=False)


class ReadLinkQuery(Query):
    """How to show a link."""

    expand = Expand(["subscription_plan"])


class LinkQuery(CreatedFilter, ListQuery):
    """Which links to list."""

    sorts = {"created_at": "created_at", "updated_at": "updated_at"}

    status = EnumField(LinkStatus.values, required=False, code="INVALID_PAYMENT_LINK_STATUS", lookup="status")
    payment_link_type = EnumField(
        [*LinkType.values, EVENT], required=False, code="INVALID_PAYMENT_LINK_TYPE", lookup="payment_link_type"
    )
    has_plan = Flag()
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    query = StrictString(required=False, code="INVALID_QUERY")

    def apply(self, rows):
        rows = super().apply(rows)
        if self.values.get("has_plan"):
            # There are no plans yet, so no link has one.
            return rows.none()
        if "query" not in self.values:
            return rows
        text = self.values["query"].strip()
        return rows.filter(Q(id=text) | Q(name__icontains=text) | Q(external_reference_id=text) | Q(short=text.lower()))
