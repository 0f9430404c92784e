"""
Fields of requests and responses. Nothing is coerced on the way in, and every refusal has a code of the contract.

Each takes ``code=`` for whatever is wrong with its value, and ``code_<reason>=`` for one reason, such as
``code_required="LINE_ITEM_NAME_REQUIRED"``. Reasons: ``required``, ``null``, ``type``, ``blank``, ``too_short``,
``too_long``, ``below``, ``above``, ``choice``, ``format``, ``negative``, ``currency``, ``number``, ``few``, ``many``.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from django.db.models import Manager
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import metadata, wire
from flint.money import MAX_AMOUNT, Money, is_known_currency

INT64 = 2**63 - 1
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Coded:
    """A part of a request whose refusals carry codes of the contract."""

    codes: dict[str, str] = {"required": "FIELD_REQUIRED", "null": "NULL_NOT_ALLOWED"}
    firm: frozenset[str] = frozenset({"required", "null"})
    """The reasons that a general ``code=`` leaves alone."""
    default_error_messages = {
        "required": "This field is required.",
        "null": "This field is never null.",
        "type": "This field has another type.",
    }

    def __init__(self, *args, code: str | None = None, lookup: str | None = None, **kwargs):
        """:param lookup: for filters of lists: the queryset lookup that the value goes to."""
        own = {name[5:]: kwargs.pop(name) for name in list(kwargs) if name.startswith("code_")}
        inherited: dict[str, str] = {}
        for cls in reversed(type(self).__mro__):
            inherited |= cls.__dict__.get("codes", {})
        general = {reason: code for reason in inherited if reason not in self.firm} if code else {}
        self.codes = inherited | general | own
        self.code = code
        self.lookup = lookup
        super().__init__(*args, **kwargs)

    def code_for(self, reason: str) -> str:
        """Return the code for a reason."""
        if reason == "blank" and "blank" not in self.codes:
            return self.codes["required"]
        return self.codes.get(reason) or self.code or "INVALID_REQUEST"

    def fail(self, key: str, **kwargs) -> NoReturn:
        message = self.error_messages[key].format(**kwargs)
        raise ValidationError([ErrorDetail(message, self.code_for(key))])

    def refuse(self, code: str, message: str, field: str | None = None) -> NoReturn:
        """Refuse the value, or one member of it, with a code of the caller's own."""
        detail = [ErrorDetail(message, code)]
        raise ValidationError(detail if field is None else {field: detail})


class CodedField(Coded, serializers.Field):
    """A single value. ``openapi`` returns how it looks in the API document."""

    def openapi(self, schema, direction: str) -> dict[str, Any]:
        """Return the JSON schema of the value; ``schema`` is drf-spectacular's, for nested components."""
        raise NotImplementedError

    def to_representation(self, value: Any) -> Any:
        return value


class StrictString(CodedField):
    """A text, exactly as sent. Empty only where ``min_length`` is 0."""

    codes = {"type": "INVALID_REQUEST", "too_short": "INVALID_REQUEST", "too_long": "VALUE_TOO_LONG",
             "format": "INVALID_REQUEST"}  # fmt: skip
    default_error_messages = {
        "type": "This field is a text.",
        "blank": "This field is not empty.",
        "too_short": "This field has at least {min_length} characters.",
        "too_long": "This field has at most {max_length} characters.",
        "format": "This field does not have the form it should.",
    }

    def __init__(self, *, min_length: int = 1, max_length: int = 255, pattern: str | None = None, **kwargs):
        self.min_length, self.max_length = min_length, max_length
        self.pattern = pattern
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not wire.is_storable(data):
            self.fail("type")
        if not data and self.min_length:
            self.fail("blank")
        if len(data) < self.min_length:
            self.fail("too_short", min_length=self.min_length)
        if len(data) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        if self.pattern is not None and not re.fullmatch(self.pattern, data, re.ASCII):
            self.fail("format")
        return data

    def to_representation(self, value: Any) -> str:
        return str(value)

    def openapi(self, schema, direction):
        if direction == "response":
            return {"type": "string"}
        form = {"type": "string", "minLength": self.min_length, "maxLength": self.max_length}
        return form | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


class IdField(StrictString):
    """An id of one of our rows. Any other text is simply not found, by whoever looks it up."""

    codes = {"type": "INVALID_ID", "too_long": "INVALID_ID", "blank": "INVALID_ID"}

    def __init__(self, prefix: str = "", **kwargs):
        self.prefix = prefix
        super().__init__(**{"max_length": 64, **kwargs})

    def openapi(self, schema, direction):
        if direction == "response" and self.prefix:
            return {"type": "string", "pattern": f"^{self.prefix}_[0-9A-HJKMNP-TV-Z]{{26}}$"}
        return super().openapi(schema, direction)


class ExternalReferenceField(StrictString):
    """The caller's own id of something, 1 to 255 characters."""

    codes = dict.fromkeys(("type", "blank", "too_short", "too_long"), "INVALID_EXTERNAL_REFERENCE_ID")


class EmailField(StrictString):
    """An email address, as sent."""

    codes = dict.fromkeys(("type", "too_long", "format"), "INVALID_EMAIL_FORMAT")

    def to_internal_value(self, data):
        email = super().to_internal_value(data)
        try:
            validate_email(email)
        except DjangoValidationError:
            self.fail("format")
        return email

    def openapi(self, schema, direction):
        return super().openapi(schema, direction) | {"format": "email"}


class PhoneField(StrictString):
    """A telephone number with digits and the usual separators."""

    codes = dict.fromkeys(("type", "too_short", "too_long", "format"), "INVALID_PHONE_FORMAT")

    def __init__(self, **kwargs):
        super().__init__(**{"min_length": 3, "max_length": 30, "pattern": r"\+?[0-9 ()./-]+", **kwargs})


class CountryField(StrictString):
    """A country by its two ISO 3166-1 letters."""

    codes = dict.fromkeys(("type", "too_short", "too_long", "format"), "INVALID_COUNTRY")

    def __init__(self, **kwargs):
        super().__init__(**{"min_length": 2, "max_length": 2, "pattern": "[A-Z]{2}", **kwargs})


class EnumField(StrictString):
    """One of a closed list of words."""

    codes = {"type": "INVALID_REQUEST", "choice": "INVALID_REQUEST"}
    default_error_messages = {"choice": "This field is one of: {choices}."}

    def __init__(self, choices: Iterable[str], **kwargs):
        self.choices = [str(getattr(choice, "value", choice)) for choice in choices]
        super().__init__(**kwargs)

    def to_internal_value(self, data):
        if not isinstance(data, str) or data not in self.choices:
            self.fail("choice", choices=", ".join(self.choices))
        return data

    def openapi(self, schema, direction):
        return {"type": "string", "enum": self.choices}


class StrictBoolean(CodedField):
    """``true`` or ``false``, nothing else."""

    codes = {"type": "INVALID_BOOLEAN"}
    default_error_messages = {"type": "This field is true or false."}

    def to_internal_value(self, data):
        if not isinstance(data, bool):
            self.fail("type")
        return data

    def openapi(self, schema, direction):
        return {"type": "boolean"}


class StrictInteger(CodedField):
    """A JSON integer. A number with a fraction or in quotes is not one, whatever its value."""

    codes = {"type": "INVALID_JSON", "below": "INVALID_REQUEST", "above": "INVALID_REQUEST"}
    firm = Coded.firm | {"type"}
    default_error_messages = {
        "type": "This field is a whole number, without quotes, fraction or exponent.",
        "below": "This field is at least {minimum}.",
        "above": "This field is at most {maximum}.",
    }

    def __init__(self, *, minimum: int = -INT64 - 1, maximum: int = INT64, **kwargs):
        self.minimum, self.maximum = minimum, maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data):
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("type")
        if data < self.minimum:
            self.fail("below", minimum=self.minimum)
        if data > self.maximum:
            self.fail("above", maximum=self.maximum)
        return data

    def openapi(self, schema, direction):
        form: dict[str, Any] = {"type": "integer", "format": "int64"}
        if self.minimum > -INT64 - 1:
            form["minimum"] = self.minimum
        if self.maximum < INT64 and direction == "request":
            form["maximum"] = self.maximum
        return form


class PercentField(CodedField):
    """
    A percentage in steps of 0.0001, held as a whole number of those steps: 10.75 is 107500. Never a float.

    :param minimum: in steps, like ``maximum``.
    """

    codes = {
        "type": "INVALID_JSON",
        "format": "INVALID_REQUEST",
        "below": "INVALID_REQUEST",
        "above": "INVALID_REQUEST",
    }
    firm = Coded.firm | {"type"}
    default_error_messages = {
        "type": "This field is a number.",
        "format": "This field has at most four decimals.",
        "below": "This field is at least {minimum}.",
        "above": "This field is at most {maximum}.",
    }
    STEPS = 10_000

    def __init__(self, *, minimum: int = 0, maximum: int = 100 * STEPS, **kwargs):
        self.minimum, self.maximum = minimum, maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data):
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("type")
        if isinstance(data, Decimal) and not -64 < data.as_tuple().exponent < 64:
            self.fail("format")
        steps = Fraction(data) * self.STEPS
        if steps < self.minimum:
            self.fail("below", minimum=Fraction(self.minimum, self.STEPS))
        if steps > self.maximum:
            self.fail("above", maximum=Fraction(self.maximum, self.STEPS))
        if steps.denominator != 1:
            self.fail("format")
        return steps.numerator

    def to_representation(self, value):
        return wire.wire_percent(value)

    def openapi(self, schema, direction):
        form = {"type": "number"}
        if direction == "request":
            form |= {"minimum": self._bound(self.minimum), "maximum": self._bound(self.maximum), "multipleOf": 0.0001}
        return form

    def _bound(self, steps: int) -> int | float:
        return steps // self.STEPS if steps % self.STEPS == 0 else steps / self.STEPS


class TimestampField(CodedField):
    """A moment: RFC 3339 with an offset in, UTC with milliseconds and ``Z`` out."""

    codes = {"type": "INVALID_TIMESTAMP"}
    default_error_messages = {"type": "This field is a time such as 2026-09-07T12:00:00Z, with its offset."}

    def to_internal_value(self, data):
        if not isinstance(data, str) or not RFC3339.fullmatch(data):
            self.fail("type")
        try:
            return datetime.fromisoformat(data.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("type")

    def to_representation(self, value):
        return wire.timestamp(value)

    def openapi(self, schema, direction):
        return {"type": "string", "format": "date-time"}


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
        return {"amount": value.amount, "currency": value.currency}

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


class MetadataField(CodedField):
    """A flat object of texts, within the limits of :mod:`flint.api.metadata`."""

    codes = {"type": "INVALID_METADATA"}
    default_error_messages = {"type": metadata.InvalidMetadata.message}
    nullable_values = False

    def to_internal_value(self, data):
        if not isinstance(data, Mapping):
            self.fail("type")
        errors = {}
        for key, value in data.items():
            if problem := metadata.problem_of(key, value, nullable=self.nullable_values):
                errors[key] = [ErrorDetail(problem[1], problem[0])]
        if errors:
            raise ValidationError(errors)
        present = {key: value for key, value in data.items() if value is not None}
        if problem := metadata.size_problem_of(present):
            self.refuse(*problem)
        return dict(data)

    def openapi(self, schema, direction):
        if direction == "response":
            return {"type": "object", "additionalProperties": {"type": "string"}}
        text = {"type": ["string", "null"] if self.nullable_values else "string", "maxLength": metadata.MAX_VALUE}
        name = {"type": "string", "minLength": 1, "maxLength": metadata.MAX_KEY, "pattern": "^(?!flint_)"}
        return {
            "type": "object",
            "additionalProperties": text,
            "propertyNames": name,
            "maxProperties": metadata.MAX_PAIRS,
        }


class MetadataPatchField(MetadataField):
    """A patch of metadata: null drops one key, null as a whole clears all. See :func:`flint.api.metadata.merge`."""

    nullable_values = True

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, "allow_null": True, **kwargs})


class ListOf(CodedField):
    """
    A list of one kind of thing, in requests and responses; a related manager will do for the latter.

    :param child: an instance of a field, an Input or an Output.
    """

    codes = {"type": "INVALID_REQUEST", "few": "FIELD_REQUIRED", "many": "RESOURCE_LIMIT_EXCEEDED"}
    default_error_messages = {
        "type": "This field is a list.",
        "few": "This list has at least {min_length} items.",
        "many": "This list has at most {max_length} items.",
    }

    def __init__(self, child: serializers.Field, *, min_length: int = 0, max_length: int = 100, **kwargs):
        self.child, self.min_length, self.max_length = child, min_length, max_length
        super().__init__(**kwargs)
        self.child.bind(field_name="", parent=self)

    def to_internal_value(self, data):
        if not isinstance(data, list):
            self.fail("type")
        if len(data) < self.min_length:
            self.fail("few", min_length=self.min_length)
        if len(data) > self.max_length:
            self.fail("many", max_length=self.max_length)
        values, errors = [], {}
        for index, item in enumerate(data):
            try:
                values.append(self.child.run_validation(item))
            except ValidationError as error:
                errors[index] = error.detail
        if errors:
            raise ValidationError(errors)
        return values

    def to_representation(self, value):
        items = value.all() if isinstance(value, Manager) else value
        return [self.child.to_representation(item) for item in items]

    def openapi(self, schema, direction):
        form: dict[str, Any] = {"type": "array", "items": schema.map_field(self.child, direction)}
        if direction == "request":
            form |= {"minItems": self.min_length, "maxItems": self.max_length}
        return form
