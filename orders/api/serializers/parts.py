"""How the parts of an order are shown: lines, charges, discounts, the tip and the taxes."""

from typing import Any

from flint.api.fields import (
    EnumField,
    IdField,
    ListOf,
    MetadataField,
    PercentField,
    SignedMoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from orders.api.serializers.fields import AmountField, Derived, Filled
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown
from orders.models.parts import ChargeBasis, ChargeType, DiscountClass, DiscountStatus, PriceMode, TaxCalculation

LINE_TAX_CATEGORIES = [
    "general",
    "physical_goods",
    "digital_goods",
    "software",
    "saas",
    "services",
    "professional_services",
    "food",
    "prepared_food",
    "clothing",
    "medical_goods",
    "admission",
]
CHARGE_TAX_CATEGORIES = ["service_fee", "shipping", "delivery", "handling", "surcharge"]
PERCENTAGE_TAXES = ["sales_tax", "use_tax"]
FLAT_TAXES = ["retail_delivery_fee"]
TAX_MODES = ["automatic", "external"]
LEVELS = ["state", "county", "city", "district"]
TAXABILITY = [
    "standard_rated",
    "not_taxable",
    "customer_exempt",
    "tax_disabled",
    "no_jurisdiction",
    "location_required",
]
TIP_STATUSES = ["requested", "settled", "partially_refunded", "refunded", "canceled"]


def introduce(order: Order) -> None:
    """Let the parts that were read with an order know it and the taxes on them, so that showing one reads nothing."""
    taxes: dict[str | None, list[TaxBreakdown]] = {}
    for tax in order.tax_breakdowns.all():
        tax.order = order
        taxes.setdefault(tax.line_item_id or tax.charge_id, []).append(tax)
    for part in [*order.line_items.all(), *order.charges.all()]:
        part.order, part.taxes = order, taxes.get(part.id, [])
        for tax in part.taxes:
            tax.part = part
    for discount in order.discounts.all():
        discount.order = order


# Taxes


class JurisdictionOutput(Output):
    """Whose tax it is."""

    code = StrictString()
    country = StrictString()
    level = EnumField(LEVELS)
    name = StrictString()
    state = StrictString()


class TaxComponentOutput(Output):
    """One percentage of tax, as it was asked for."""

    jurisdiction = JurisdictionOutput()
    percent = PercentField()
    tax_type = EnumField(PERCENTAGE_TAXES)
    calculation_type = EnumField(TaxCalculation.values)


class TaxCalculationOutput(Output):
    """How a line or charge is taxed, as it was asked for."""

    mode = EnumField(TAX_MODES)
    price_mode = EnumField(PriceMode.values)
    components = ListOf(TaxComponentOutput())


def _calculation_of(part: LineItem | Charge) -> dict[str, Any] | None:
    return {"mode": "external", "price_mode": part.price_mode, "components": part.taxes} if part.price_mode else None


def _tax_of(part: LineItem | Charge) -> LineItem | Charge | None:
    return part if part.price_mode or part.tax_category or part.taxable is not None else None


class LineItemTaxOutput(Output):
    """What was asked for about a line's tax."""

    calculation = Derived(_calculation_of, TaxCalculationOutput(), required=False)
    line_item_tax_category = Derived(
        lambda part: part.tax_category or None, EnumField(LINE_TAX_CATEGORIES), required=False
    )
    taxable = StrictBoolean(required=False)


class ChargeTaxOutput(Output):
    """What was asked for about a charge's tax."""

    calculation = Derived(_calculation_of, TaxCalculationOutput(), required=False)
    charge_tax_category = Derived(
        lambda part: part.tax_category or None, EnumField(CHARGE_TAX_CATEGORIES), required=False
    )
    taxable = StrictBoolean(required=False)


def _taxability_of(tax: TaxBreakdown) -> str:
    if not tax.order.tax_enabled:
        return "tax_disabled"
    part = getattr(tax, "part", None)
    return "not_taxable" if part is not None and part.taxable is False else "standard_rated"


class TaxBreakdownOutput(Output):
    """One tax: a percentage on a line or charge, or a flat amount on the order as a whole."""

    tax_breakdown_id = IdField("txb", source="id")
    calculation_type = EnumField(TaxCalculation.values)
    percent = PercentField(required=False)
    flat_money = AmountField("flat_amount", required=False)
    price_mode = EnumField(PriceMode.values)
    tax_type = EnumField([*PERCENTAGE_TAXES, *FLAT_TAXES])
    taxable_money = AmountField("taxable_amount")
    tax_money = AmountField("tax_amount")
    taxability_reason = Derived(_taxability_of, EnumField(TAXABILITY))
    jurisdiction = JurisdictionOutput()
    order_line_item_id = IdField("oli", source="line_item_id", required=False)
    order_charge_id = IdField("och", source="charge_id", required=False)


def _order_taxability_of(order: Order) -> str:
    if not order.tax_enabled:
        return "tax_disabled"
    rated = any(_taxability_of(tax) == "standard_rated" for tax in order.tax_breakdowns.all())
    return "standard_rated" if rated else "not_taxable"


def _tax_status_of(order: Order) -> str:
    return "calculated" if _order_taxability_of(order) == "standard_rated" else "not_required"


class OrderTaxOutput(Output):
    """Whether and why the order is taxed, tax by tax."""

    enabled = StrictBoolean(source="tax_enabled")
    mode = Derived(lambda order: "external", EnumField(TAX_MODES))
    status = Derived(
        _tax_status_of, EnumField(["not_required", "requires_location", "calculated", "exempt", "incomplete"])
    )
    taxability_reason = Derived(_order_taxability_of, EnumField(TAXABILITY))
    tax_breakdowns = ListOf(TaxBreakdownOutput(), required=False)


# Lines, charges, discounts


class OrderLineItemOutput(Output):
    """Goods or a service, so many units at a price."""

    merchant_only = {"metadata"}

    order_line_item_id = IdField("oli", source="id")
    name = StrictString()
    description = Filled("description")
    quantity = StrictInteger(minimum=1)
    unit_price_money = AmountField("unit_price_amount")
    base_subtotal_money = AmountField("base_subtotal_amount")
    modifier_total_money = AmountField("modifier_total_amount")
    subtotal_money = AmountField("subtotal_amount")
    discount_money = AmountField("discount_amount")
    tax_money = AmountField("tax_amount")
    total_money = AmountField("total_amount", child=SignedMoneyField())
    refunded_quantity = StrictInteger(minimum=0)
    refunded_money = AmountField("refunded_amount")
    version = StrictInteger(minimum=1)
    tax = Derived(_tax_of, LineItemTaxOutput(), required=False)
    metadata = MetadataField(required=False)


class OrderChargeOutput(Output):
    """A fee on the order, fixed or in percent of the merchandise."""

    merchant_only = {"metadata"}

    order_charge_id = IdField("och", source="id")
    name = StrictString()
    type = EnumField(ChargeType.values)
    description = Filled("description")
    amount_money = AmountField("fixed_amount", required=False)
    percent = PercentField(required=False)
    calculation_basis = Derived(
        lambda charge: charge.calculation_basis or None, EnumField(ChargeBasis.values), required=False
    )
    applied_money = AmountField("applied_amount")
    tax_money = AmountField("tax_amount")
    total_money = AmountField("total_amount")
    refunded_money = AmountField("refunded_amount")
    tax = Derived(_tax_of, ChargeTaxOutput(), required=False)
    metadata = MetadataField(required=False)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


def _targets(discount_class: str):
    def targets_of(discount: Discount) -> list[str] | None:
        return (discount.target_ids or None) if discount.discount_class == discount_class else None

    return targets_of


class AppliedDiscountOutput(Output):
    """A reduction: what it is worth by name, and what it really took."""

    order_discount_id = IdField("odi", source="id")
    order_id = IdField("ord")
    status = EnumField(DiscountStatus.values)
    source = Derived(lambda discount: "manual", EnumField(["manual", "promotion"]), required=False)
    discount_class = EnumField(DiscountClass.values, required=False)
    amount_money = AmountField("amount")
    applied_money = AmountField("applied_amount")
    customer_facing_name = StrictString(source="name", required=False)
    order_line_item_ids = Derived(_targets("line_item"), ListOf(IdField("oli")), required=False)
    order_charge_ids = Derived(_targets("service_charge"), ListOf(IdField("och")), required=False)


# The tip, which lives in columns of the order


class RequestedTipOutput(Output):
    """The tip asked for, as it was given."""

    merchant_only = {"metadata"}

    amount_money = AmountField("tip_requested_amount", required=False)
    percent = PercentField(source="tip_percent", required=False)
    name = Filled("tip_name")
    description = Filled("tip_description")
    metadata = MetadataField(source="tip_metadata", required=False)


def _tip_status_of(order: Order) -> str:
    if not order.settled_tip_amount:
        return "requested"
    if not order.tip_refunded_amount:
        return "settled"
    return "refunded" if order.tip_refunded_amount >= order.settled_tip_amount else "partially_refunded"


class TipOutput(RequestedTipOutput):
    """A tip with what became of it."""

    order_tip_id = IdField("oti", source="tip_id")
    status = Derived(_tip_status_of, EnumField(TIP_STATUSES))
    effective_amount_money = AmountField("tip_amount")
    settled_amount_money = AmountField("settled_tip_amount")
    refunded_money = AmountField("tip_refunded_amount")
