"""Truth, whole numbers, percentages and moments."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flint.api import wire
from flint.api.fields.base import Coded, CodedField

INT64 = 2**63 - 1
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


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
            self.fail("below", minimum=wire.percent_text(self.minimum))
        if steps > self.maximum:
            self.fail("above", maximum=wire.percent_text(self.maximum))
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
