"""What requests may say about an order and its parts, with the codes of the contract. Rules on state are elsewhere."""

from collections.abc import Mapping
from typing import Any

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    PercentField,
    StrictInteger,
    StrictString,
)
from flint.api.serializers import Input, Patch
from orders.api.serializers.taxes import ChargeTaxInput, LineItemTaxInput, OrderTaxInput
from orders.models.parts import ChargeBasis, ChargeType, DiscountClass

MAX_LINES = 1_000
MAX_TARGETS = 1_000
MAX_QUANTITY = 1_000_000
NOTE_LENGTH = 5_000
ONE_PERCENT = 10_000
CATALOG = frozenset({"variant_id", "bundle_id"})


def _note(**options) -> StrictString:
    return StrictString(min_length=0, max_length=NOTE_LENGTH, required=False, code_too_long="NOTE_TOO_LONG", **options)


def _description(**options) -> StrictString:
    return StrictString(min_length=0, max_length=2_000, required=False, **options)


# Lines


class OrderLineItemInput(Input):
    """A line with a name and a price of its own."""

    reserved = CATALOG | {
        "modifiers",
        "image",
        "gift_card_purchase",
        "inventory_demands",
        "fulfillment",
        "subscription",
    }

    name = StrictString(code_required="LINE_ITEM_NAME_REQUIRED", code_too_long="LINE_ITEM_NAME_TOO_LONG")
    description = _description()
    quantity = StrictInteger(
        minimum=1,
        maximum=MAX_QUANTITY,
        required=False,
        default=1,
        code="LINE_ITEM_INVALID_QUANTITY",
        code_above="LINE_ITEM_QUANTITY_TOO_LARGE",
    )
    unit_price_money = MoneyField(
        code_required="LINE_ITEM_UNIT_PRICE_REQUIRED", code_negative="LINE_ITEM_NEGATIVE_PRICE"
    )
    tax = LineItemTaxInput(required=False)
    metadata = MetadataField(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and (sources := CATALOG & set(data)):
            # Name and price come from the catalog then, so it would mislead to ask for them.
            self.refuse(
                "RESERVED_FIELD_NOT_YET_SUPPORTED",
                "This installation has no catalog yet. Send a name and a unit_price_money.",
                min(sources),
            )
        return super().to_internal_value(data)


class AddLineItemsInput(Input):
    """Lines to put on the order."""

    line_items = ListOf(
        OrderLineItemInput(),
        min_length=1,
        max_length=MAX_LINES,
        code="INVALID_LINE_ITEMS",
        code_required="MISSING_LINE_ITEMS",
        code_few="MISSING_LINE_ITEMS",
        code_many="TOO_MANY_LINE_ITEMS",
    )


class UpdateLineItemInput(Patch):
    """A sparse change of a line."""

    reserved = {"modifiers", "gift_card_recipient", "subscription"}
    guards = ("expected_version",)

    name = StrictString(
        code_blank="LINE_ITEM_NAME_REQUIRED",
        code_null="LINE_ITEM_NAME_REQUIRED",
        code_too_long="LINE_ITEM_NAME_TOO_LONG",
    )
    description = _description()
    quantity = StrictInteger(
        minimum=1,
        maximum=MAX_QUANTITY,
        code="LINE_ITEM_INVALID_QUANTITY",
        code_above="LINE_ITEM_QUANTITY_TOO_LARGE",
    )
    unit_price_money = MoneyField(code_negative="LINE_ITEM_NEGATIVE_PRICE")
    tax = LineItemTaxInput()
    metadata = MetadataPatchField()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


# Charges


class OrderChargeInput(Input):
    """A fee: a fixed amount, or a percentage of the merchandise before or after its discounts."""

    reserved = {"fulfillment_id"}
    codes = {
        "value": "CHARGE_VALUE_REQUIRED",
        "both": "INVALID_CHARGE_VALUE",
        "basis": "CALCULATION_BASIS_REQUIRED",
        "no_basis": "CALCULATION_BASIS_FORBIDDEN",
    }

    name = StrictString(code_required="CHARGE_NAME_REQUIRED")
    type = EnumField(ChargeType.values, code="INVALID_CHARGE_TYPE", code_required="CHARGE_TYPE_REQUIRED")
    amount_money = MoneyField(required=False, code_negative="INVALID_CHARGE_AMOUNT")
    percent = PercentField(required=False, code="INVALID_CHARGE_PERCENT")
    calculation_basis = EnumField(ChargeBasis.values, required=False, code="INVALID_CALCULATION_BASIS")
    description = _description()
    tax = ChargeTaxInput(required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        if "amount_money" in attrs and "percent" in attrs:
            self.refuse("INVALID_CHARGE_VALUE", "A charge has either amount_money or percent, not both.")
        if "amount_money" not in attrs and "percent" not in attrs:
            self.refuse("CHARGE_VALUE_REQUIRED", "A charge has either amount_money or percent.")
        if "percent" in attrs and "calculation_basis" not in attrs:
            self.refuse("CALCULATION_BASIS_REQUIRED", "Say what the percentage is of.", "calculation_basis")
        if "amount_money" in attrs and "calculation_basis" in attrs:
            self.refuse("CALCULATION_BASIS_FORBIDDEN", "A fixed charge has no basis.", "calculation_basis")
        return attrs


class AddChargeInput(Input):
    """A fee to put on the order."""

    charge = OrderChargeInput()


class UpdateChargeInput(Patch):
    """A sparse change of a fee; the value of the other kind replaces the one it has."""

    reserved = {"fulfillment_id"}
    codes = {"both": "INVALID_CHARGE_VALUE", "no_basis": "CALCULATION_BASIS_FORBIDDEN"}

    name = StrictString(code_blank="CHARGE_NAME_REQUIRED", code_null="CHARGE_NAME_REQUIRED")
    type = EnumField(ChargeType.values, code="INVALID_CHARGE_TYPE")
    amount_money = MoneyField(code_negative="INVALID_CHARGE_AMOUNT")
    percent = PercentField(code="INVALID_CHARGE_PERCENT")
    calculation_basis = EnumField(ChargeBasis.values, code="INVALID_CALCULATION_BASIS")
    description = _description()
    tax = ChargeTaxInput()
    metadata = MetadataPatchField()

    def validate(self, attrs):
        if "amount_money" in attrs and "percent" in attrs:
            self.refuse("INVALID_CHARGE_VALUE", "A charge has either amount_money or percent, not both.")
        if "amount_money" in attrs and "calculation_basis" in attrs:
            self.refuse("CALCULATION_BASIS_FORBIDDEN", "A fixed charge has no basis.", "calculation_basis")
        return super().validate(attrs)


# Discounts


class ManualDiscountInput(Input):
    """An amount off the order, off some lines, or off charges."""

    codes = {
        "needs_lines": "LINE_ITEM_DISCOUNT_REQUIRES_IDS",
        "line_no_charges": "LINE_ITEM_DISCOUNT_NO_CHARGE_IDS",
        "order_no_charges": "ORDER_DISCOUNT_NO_CHARGE_IDS",
        "order_no_lines": "ORDER_DISCOUNT_NO_LINE_ITEM_IDS",
        "other": "INVALID_DISCOUNT",
    }

    name = StrictString(code_blank="INVALID_DISCOUNT")
    amount_money = MoneyField(min_amount=1, code_below="INVALID_DISCOUNT", code_negative="INVALID_DISCOUNT")
    discount_class = EnumField(DiscountClass.values, required=False, code="INVALID_DISCOUNT_CLASS")
    scope = EnumField(["order", "line_item"], required=False, code="INVALID_DISCOUNT_SCOPE")
    order_line_item_ids = ListOf(IdField("oli"), required=False, max_length=MAX_TARGETS)
    order_charge_ids = ListOf(IdField("och"), required=False, max_length=MAX_TARGETS)

    def validate(self, attrs):
        scope = attrs.pop("scope", None)
        kind = attrs.setdefault("discount_class", scope or "order")
        if scope and (scope == "line_item") != (kind == "line_item"):
            self.refuse("INVALID_DISCOUNT_SCOPE", "The scope contradicts the discount_class.", "scope")
        lines, charges = attrs.get("order_line_item_ids"), attrs.get("order_charge_ids")
        if kind == "line_item":
            self._check_line_discount(lines, charges)
        elif kind == "order" and lines:
            self.refuse("ORDER_DISCOUNT_NO_LINE_ITEM_IDS", "An order discount is off all lines.", "order_line_item_ids")
        elif kind == "order" and charges:
            self.refuse("ORDER_DISCOUNT_NO_CHARGE_IDS", "An order discount is off no charges.", "order_charge_ids")
        elif kind == "service_charge" and lines:
            self.refuse("INVALID_DISCOUNT", "A service charge discount is off no lines.", "order_line_item_ids")
        for name in ("order_line_item_ids", "order_charge_ids"):
            if name in attrs:
                attrs[name] = list(dict.fromkeys(attrs[name]))
        return attrs

    def _check_line_discount(self, lines: list[str] | None, charges: list[str] | None) -> None:
        if charges:
            self.refuse("LINE_ITEM_DISCOUNT_NO_CHARGE_IDS", "A line discount is off no charges.", "order_charge_ids")
        if not lines:
            self.refuse("LINE_ITEM_DISCOUNT_REQUIRES_IDS", "Name the lines to discount.", "order_line_item_ids")


class FirstManualDiscountInput(ManualDiscountInput):
    """An amount off an order that is being created, whose lines have no ids to name yet."""

    codes = {"unsupported": "CREATE_ORDER_LINE_ITEM_DISCOUNT_UNSUPPORTED"}

    def _check_line_discount(self, lines, charges):
        self.refuse(
            "CREATE_ORDER_LINE_ITEM_DISCOUNT_UNSUPPORTED",
            "Create the order first; then apply discounts to its lines.",
            "discount_class",
        )


class ApplyDiscountInput(Input):
    """A discount to apply. Promotions are not supported yet."""

    reserved = {"promotion"}
    codes = {"one": "EXACTLY_ONE_REQUIRED"}

    manual = ManualDiscountInput(required=False, code_type="INVALID_DISCOUNT")

    def validate(self, attrs):
        if "manual" not in attrs:
            self.refuse("EXACTLY_ONE_REQUIRED", "Exactly one of manual, promotion is required.")
        return attrs


class FirstDiscountInput(ApplyDiscountInput):
    """A discount to begin with. Promotions are not supported yet."""

    manual = FirstManualDiscountInput(required=False, code_type="INVALID_DISCOUNT")


class RemoveDiscountsInput(Input):
    """The pending discounts to take off."""

    order_discount_ids = ListOf(IdField("odi"), min_length=1, max_length=MAX_TARGETS)

    def validate(self, attrs):
        attrs["order_discount_ids"] = list(dict.fromkeys(attrs["order_discount_ids"]))
        return attrs


# The order itself


class TipInput(Input):
    """A tip: an amount, or a percentage of the merchandise after discounts."""

    codes = {"one": "INVALID_TIP"}

    amount_money = MoneyField(
        min_amount=1, required=False, code_below="INVALID_TIP_AMOUNT", code_negative="INVALID_TIP_AMOUNT"
    )
    percent = PercentField(minimum=ONE_PERCENT, required=False, code="INVALID_TIP_PERCENT")
    name = StrictString(required=False)
    description = _description()
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        self.exactly_one(attrs, "amount_money", "percent", code="INVALID_TIP")
        return attrs


class CreateOrderInput(AddLineItemsInput):
    """A new order: what is sold, to whom, and what else is known of it."""

    reserved = {"delivery_destination", "inventory_routing_source"}

    customer_id = IdField("cus", required=False)
    discounts = ListOf(FirstDiscountInput(), required=False)
    requested_tip = TipInput(required=False, code="INVALID_TIP")
    tax = OrderTaxInput(required=False)
    buyer_note = _note()
    internal_note = _note()
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)


class UpdateOrderInput(Patch):
    """A sparse change of an order. A tip of null is no tip; metadata merges."""

    reserved = {"delivery_destination", "inventory_routing_source"}
    guards = ("order_revision",)

    customer_id = IdField("cus", allow_null=True)
    requested_tip = TipInput(allow_null=True, code="INVALID_TIP")
    tax = OrderTaxInput()
    buyer_note = _note(allow_null=True)
    internal_note = _note(allow_null=True)
    external_reference_id = ExternalReferenceField(allow_null=True)
    metadata = MetadataPatchField()
    order_revision = StrictInteger(minimum=1)


class CloseOrderInput(Input):
    """Why the order ends here; never shown to the buyer."""

    reason_message = _note(allow_null=True)


class NothingInput(Input):
    """No body, or an empty object."""

    body_optional = True
