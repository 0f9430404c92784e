"""Money: whole minor units and a currency."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import wire
from flint.api.fields.base import Coded, CodedField
from flint.money import MAX_AMOUNT, Money, is_known_currency


class MoneyField(CodedField):
    """
    Minor units and a currency, as :class:`~flint.money.Money`; zero to ``MAX_AMOUNT`` on the way in.

    :param min_amount: in minor units; less is refused with the code for ``below``.
    """

    codes = {
        "type": "INVALID_MONEY",
        "unknown": "UNKNOWN_FIELD",
        "negative": "INVALID_AMOUNT",
        "below": "AMOUNT_TOO_SMALL",
        "above": "AMOUNT_TOO_LARGE",
        "currency": "INVALID_CURRENCY",
        "number": "INVALID_JSON",
    }
    firm = Coded.firm | {"unknown", "above", "currency", "number"}
    default_error_messages = {
        "type": "Money is an object with amount and currency.",
        "unknown": "Money has no such member.",
        "number": "An amount is a whole number of minor units, without quotes, fraction or exponent.",
        "negative": "The amount is not negative.",
        "below": "The amount is at least {minimum} in minor units.",
        "above": f"The amount is at most {MAX_AMOUNT} in minor units.",
        "currency": "The currency is an ISO 4217 code in upper case.",
    }
    component = "Money"

    def __init__(self, *, min_amount: int = 0, **kwargs):
        self.min_amount = min_amount
        super().__init__(**kwargs)

    def to_internal_value(self, data):
        if not isinstance(data, Mapping):
            self.fail("type")
        errors = {name: self._problem("unknown") for name in data if name not in ("amount", "currency")}
        errors |= {name: self._problem("type") for name in ("amount", "currency") if name not in data}
        if "amount" in data and (reason := self._wrong_amount(data["amount"])):
            errors["amount"] = self._problem(reason)
        if "currency" in data and not (isinstance(data["currency"], str) and is_known_currency(data["currency"])):
            errors["currency"] = self._problem("currency")
        if errors:
            raise ValidationError(errors)
        return Money(data["amount"], data["currency"])

    def _wrong_amount(self, amount: Any) -> str | None:
        if not isinstance(amount, int) or isinstance(amount, bool):
            return "number"
        if amount < 0:
            return "negative"
        if amount < self.min_amount:
            return "below"
        return "above" if amount > MAX_AMOUNT else None

    def _problem(self, reason: str) -> list[ErrorDetail]:
        return [ErrorDetail(self.error_messages[reason].format(minimum=self.min_amount), self.code_for(reason))]

    def to_representation(self, value: Money):
        return wire.wire_money(value)

    def openapi(self, schema, direction):
        if direction == "response":
            return {"$ref": f"#/components/schemas/{self.component}"}
        amount = {"type": "integer", "format": "int64", "minimum": self.min_amount, "maximum": MAX_AMOUNT}
        return {
            "type": "object",
            "properties": {"amount": amount, "currency": {"$ref": "#/components/schemas/Currency"}},
            "required": ["amount", "currency"],
            "additionalProperties": False,
        }


class SignedMoneyField(MoneyField):
    """Money that may be negative, for responses only."""

    component = "SignedMoney"
