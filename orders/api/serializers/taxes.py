"""How taxes are asked for: percentages on a line or charge, flat amounts on the order as a whole."""

from collections.abc import Mapping
from typing import Any

from flint.api.fields import EnumField, ListOf, MoneyField, PercentField, StrictBoolean, StrictString
from flint.api.serializers import Input
from orders.api.serializers.parts import (
    CHARGE_TAX_CATEGORIES,
    FLAT_TAXES,
    LEVELS,
    LINE_TAX_CATEGORIES,
    PERCENTAGE_TAXES,
    TAX_MODES,
)
from orders.models.parts import PriceMode, TaxCalculation

MAX_COMPONENTS = 20


class JurisdictionInput(Input):
    """Whose tax it is."""

    code = StrictString(max_length=128, pattern=r"[A-Za-z0-9._:-]+", code="INVALID_TAX_JURISDICTION")
    country = EnumField(["US"], code="INVALID_TAX_JURISDICTION")
    level = EnumField(LEVELS, code="INVALID_TAX_JURISDICTION")
    name = StrictString(max_length=200, code="INVALID_TAX_JURISDICTION")
    state = StrictString(min_length=2, max_length=2, pattern="[A-Z]{2}", code="INVALID_TAX_JURISDICTION")


class TaxComponentInput(Input):
    """One percentage of tax."""

    jurisdiction = JurisdictionInput(code="INVALID_TAX_JURISDICTION")
    percent = PercentField(code="INVALID_TAX_PERCENTAGE")
    tax_type = EnumField(PERCENTAGE_TAXES, code="INVALID_TAX_TYPE")
    calculation_type = EnumField([TaxCalculation.PERCENTAGE], required=False, code="INVALID_TAX_CALCULATION_TYPE")

    codes = {"scope": "FLAT_TAX_SCOPE_INVALID"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and ("flat_money" in data or data.get("calculation_type") == "flat_amount"):
            self.refuse("FLAT_TAX_SCOPE_INVALID", "A flat tax is of the order as a whole, not of one line or charge.")
        return super().to_internal_value(data)


class FlatTaxComponentInput(Input):
    """One fixed amount of tax on the order as a whole."""

    codes = {"percentage": "ORDER_PERCENTAGE_TAX_FORBIDDEN"}

    flat_money = MoneyField(
        min_amount=1, code="INVALID_TAX_MONEY", code_below="INVALID_FLAT_TAX", code_negative="INVALID_FLAT_TAX"
    )
    jurisdiction = JurisdictionInput(code="INVALID_TAX_JURISDICTION")
    calculation_type = EnumField([TaxCalculation.FLAT_AMOUNT], required=False, code="INVALID_TAX_CALCULATION_TYPE")
    tax_type = EnumField(FLAT_TAXES, required=False, code="INVALID_TAX_TYPE")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and ("percent" in data or data.get("calculation_type") == "percentage"):
            self.refuse("ORDER_PERCENTAGE_TAX_FORBIDDEN", "Percentages are taxes of a line or charge. Send them there.")
        return super().to_internal_value(data)


class TaxCalculationInput(Input):
    """How a line or charge is taxed: by the percentages that the caller states."""

    codes = {"missing": "EXTERNAL_TAX_COMPONENTS_REQUIRED", "automatic": "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN"}

    mode = EnumField(TAX_MODES, code="INVALID_TAX_MODE")
    price_mode = EnumField(PriceMode.values, code="INVALID_TAX_PRICE_MODE")
    components = ListOf(TaxComponentInput(), required=False, max_length=MAX_COMPONENTS)

    def validate(self, attrs):
        if attrs["mode"] == "external" and not attrs.get("components"):
            self.refuse(
                "EXTERNAL_TAX_COMPONENTS_REQUIRED", "With mode 'external' state at least one tax.", "components"
            )
        if attrs["mode"] == "automatic" and attrs.get("components"):
            self.refuse(
                "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN", "With mode 'automatic' taxes are not stated.", "components"
            )
        return attrs


class OrderTaxCalculationInput(Input):
    """The flat taxes of the order as a whole."""

    codes = {"price": "FLAT_TAX_PRICE_MODE_INVALID", "automatic": "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN"}

    mode = EnumField(TAX_MODES, code="INVALID_TAX_MODE")
    price_mode = EnumField(PriceMode.values, code="INVALID_TAX_PRICE_MODE")
    components = ListOf(FlatTaxComponentInput(), required=False, max_length=MAX_COMPONENTS)

    def validate(self, attrs):
        if not attrs.get("components"):
            return attrs
        if attrs["mode"] == "automatic":
            self.refuse(
                "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN", "With mode 'automatic' taxes are not stated.", "components"
            )
        if attrs["price_mode"] != "additive":
            self.refuse("FLAT_TAX_PRICE_MODE_INVALID", "A flat tax is always on top: send 'additive'.", "price_mode")
        return attrs


class OrderTaxInput(Input):
    """Whether the order is taxed, and its flat taxes."""

    reserved = {"location"}

    enabled = StrictBoolean(required=False)
    calculation = OrderTaxCalculationInput(required=False)

    def validate(self, attrs):
        if attrs.get("enabled") is False and "calculation" in attrs:
            self.refuse("INVALID_REQUEST", "Without taxes there is nothing to calculate.", "calculation")
        return attrs


class LineItemTaxInput(Input):
    """How a line is taxed."""

    codes = {"empty": "ORDER_LINE_ITEM_TAX_INPUT_REQUIRED"}

    taxable = StrictBoolean(required=False)
    line_item_tax_category = EnumField(LINE_TAX_CATEGORIES, required=False, code="INVALID_TAX_CATEGORY")
    calculation = TaxCalculationInput(required=False)

    def validate(self, attrs):
        if not attrs:
            self.refuse(self.codes["empty"], "State at least one thing about the tax.")
        return attrs


class ChargeTaxInput(Input):
    """How a charge is taxed."""

    codes = {"empty": "ORDER_CHARGE_TAX_INPUT_REQUIRED"}

    taxable = StrictBoolean(required=False)
    charge_tax_category = EnumField(CHARGE_TAX_CATEGORIES, required=False, code="INVALID_TAX_CATEGORY")
    calculation = TaxCalculationInput(required=False)

    def validate(self, attrs):
        if not attrs:
            self.refuse(self.codes["empty"], "State at least one thing about the tax.")
        return attrs
