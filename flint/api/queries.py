"""
What may stand in a query string, declared like a request body: unknown parameters are refused, nothing is clamped.

    class OrderQuery(CreatedFilter, ListQuery):
        sorts = {"created_at": "created_at", "total": "total_amount"}
        status = EnumField(Status.values, required=False, code="INVALID_ORDER_STATUS", lookup="status")
        refund_status = Several(RefundStatus.values, code="INVALID_REFUND_STATUS", lookup="refund_status__in")
        customer_id = IdField("cus", required=False, lookup="customer_id")
"""

import copy
import hashlib
from collections.abc import Iterable
from typing import Any, Self

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import wire
from flint.api.fields import (
    Coded,
    CodedField,
    CountryField,
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import codes_of_members, shared

MAX_EXPAND = 10
PAGING = ("page_size", "page_token", "sort_by", "sort_direction")


class WholeNumber(StrictInteger):
    """A whole number, in digits."""

    codes = {"type": "INVALID_REQUEST"}
    firm = Coded.firm

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data):
        digits = data.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            self.fail("type")
        return super().to_internal_value(int(data))


class Flag(CodedField):
    """``true`` or ``false``."""

    codes = {"type": "INVALID_BOOLEAN"}
    default_error_messages = {"type": "This parameter is true or false."}

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data):
        if data not in ("true", "false"):
            self.fail("type")
        return data == "true"

    def openapi(self, schema, direction):
        return {"type": "boolean"}


class Several(CodedField):
    """Some words of a closed list: the parameter repeated, or its values separated by commas."""

    codes = {"choice": "INVALID_REQUEST", "many": "INVALID_REQUEST"}
    default_error_messages = {
        "choice": "This parameter takes: {choices}.",
        "many": "This parameter takes at most {max_length} values.",
    }

    def __init__(self, choices: Iterable[str], *, max_length: int | None = None, **kwargs):
        self.choices = [str(getattr(choice, "value", choice)) for choice in choices]
        self.max_length = max_length or len(self.choices)
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data: list[str]) -> list[str]:
        words = [word for value in data for word in value.split(",")]
        if any(word not in self.choices for word in words):
            self.fail("choice", choices=", ".join(self.choices))
        if len(words) > self.max_length:
            self.fail("many", max_length=self.max_length)
        return list(dict.fromkeys(words))

    def openapi(self, schema, direction):
        return {
            "type": "array",
            "items": {"type": "string", "enum": self.choices},
            "minItems": 1,
            "maxItems": self.max_length,
        }


class Expand(Several):
    """What to show in full beside its id."""

    def __init__(self, choices: Iterable[str], **kwargs):
        super().__init__(choices, **{"max_length": MAX_EXPAND, "code": "INVALID_EXPAND", **kwargs})


class Query(Coded, serializers.Serializer):
    """The parameters of a read. :meth:`of` takes a request's; use ``values`` and ``expand``."""

    environment_id = ""

    @classmethod
    def of(cls, parameters: QueryDict, environment_id: str = "") -> Self:
        """
        Take the parameters of a request, made in an environment that its page tokens are bound to.

        :raises ValidationError: as :meth:`read`.
        """
        # The fields are the same for every request and stay untouched; only the values are this one's.
        query = copy.copy(shared(cls))
        query.environment_id = environment_id
        query.values = query.read(parameters)
        return query

    def get_fields(self):
        fields = super().get_fields()
        for field in fields.values():
            renamed = {reason: _in_a_query(code) for reason, code in field.codes.items()}
            field.codes = {"blank": renamed.get("type", "INVALID_QUERY_PARAMETER"), **renamed}
        return fields

    def possible_codes(self):
        # A query string cannot say null.
        return (super().possible_codes() | codes_of_members(self)) - {"NULL_NOT_ALLOWED"}

    def read(self, parameters: QueryDict) -> dict[str, Any]:
        """
        Return the values of a request's parameters.

        :raises ValidationError: with one entry per parameter that is unknown, repeated or wrong.
        """
        errors: dict[str, Any] = {}
        given: dict[str, Any] = {}
        for name, values in parameters.lists():
            field = self.fields.get(name)
            if field is None:
                errors[name] = [ErrorDetail("There is no such parameter.", "UNSUPPORTED_QUERY_PARAM")]
            elif isinstance(field, Several):
                given[name] = values
            elif len(values) > 1:
                errors[name] = [ErrorDetail("This parameter is given once.", "INVALID_QUERY_PARAMETER")]
            else:
                given[name] = values[0]
        try:
            values = self.run_validation(given)
        except ValidationError as error:
            raise ValidationError({**errors, **error.detail}) from None
        if errors:
            raise ValidationError(errors)
        return values

    @property
    def expand(self) -> frozenset[str]:
        """What the caller wants in full."""
        return frozenset(self.values.get("expand", ()))


def _in_a_query(code: str) -> str:
    return "INVALID_QUERY_PARAMETER" if code in ("INVALID_REQUEST", "INVALID_JSON") else code


class ListQuery(Query):
    """
    The parameters of a list: paging, sorting, and the filters that a subclass declares with ``lookup=``.

    ``sorts`` maps words of the contract to columns that are never null; without it the order is fixed.
    """

    sorts: dict[str, str] = {}
    default_sort = "created_at"
    default_direction = "desc"

    page_size = WholeNumber(minimum=1, maximum=100, default=20, code="INVALID_PAGE_SIZE")
    page_token = StrictString(required=False, max_length=2048, code="INVALID_PAGE_TOKEN")

    def get_fields(self):
        fields = super().get_fields()
        if self.sorts:
            fields["sort_by"] = EnumField(self.sorts, required=False, code="INVALID_SORT_BY")
            fields["sort_direction"] = EnumField(["asc", "desc"], required=False, code="INVALID_SORT_DIRECTION")
        return fields

    @property
    def sort(self) -> tuple[str, bool]:
        """The column to sort by, and whether its largest value comes first."""
        word = self.values.get("sort_by", self.default_sort)
        return self.sorts.get(word, word), self.values.get("sort_direction", self.default_direction) == "desc"

    @property
    def fingerprint(self) -> str:
        """A digest of everything that must stay the same from page to page."""
        kept = {name: value for name, value in self.values.items() if name not in PAGING}
        return hashlib.sha256(wire.canonical([type(self).__name__, self.sort, kept])).hexdigest()[:24]

    def apply(self, rows: QuerySet) -> QuerySet:
        """Filter by every parameter that was given and has a lookup. A subclass adds what needs more than that."""
        lookups = {
            field.lookup: self.values[name]
            for name, field in self.fields.items()
            if field.lookup and name in self.values
        }
        return rows.filter(**lookups) if lookups else rows


def _moment(code: str, lookup: str) -> TimestampField:
    return TimestampField(required=False, code=code, lookup=lookup)


class CreatedFilter(serializers.Serializer):
    """``created_after`` (inclusive) and ``created_before`` (exclusive)."""

    refusals = ("INVALID_CREATED_RANGE",)

    created_after = _moment("INVALID_CREATED_AFTER", "created_at__gte")
    created_before = _moment("INVALID_CREATED_BEFORE", "created_at__lt")

    def validate(self, attrs):
        _check_range(self, attrs, "created_after", "created_before", "INVALID_CREATED_RANGE")
        return super().validate(attrs)


class UpdatedFilter(serializers.Serializer):
    """``updated_after`` (inclusive) and ``updated_before`` (exclusive)."""

    refusals = ("INVALID_UPDATED_RANGE",)

    updated_after = _moment("INVALID_UPDATED_AFTER", "updated_at__gte")
    updated_before = _moment("INVALID_UPDATED_BEFORE", "updated_at__lt")

    def validate(self, attrs):
        _check_range(self, attrs, "updated_after", "updated_before", "INVALID_UPDATED_RANGE")
        return super().validate(attrs)


class AmountFilter(serializers.Serializer):
    """``min_amount`` and ``max_amount`` in minor units, both inclusive; the subclass gives them their lookups."""

    refusals = ("INVALID_AMOUNT_RANGE",)
    amount_column = "total_amount"

    min_amount = WholeNumber(minimum=1, code="INVALID_MIN_AMOUNT")
    max_amount = WholeNumber(minimum=1, code="INVALID_MAX_AMOUNT")

    def get_fields(self):
        fields = super().get_fields()
        fields["min_amount"].lookup = f"{self.amount_column}__gte"
        fields["max_amount"].lookup = f"{self.amount_column}__lte"
        return fields

    def validate(self, attrs):
        _check_range(self, attrs, "min_amount", "max_amount", "INVALID_AMOUNT_RANGE")
        return super().validate(attrs)


def _check_range(query: Any, values: dict[str, Any], low: str, high: str, code: str) -> None:
    if low in values and high in values and values[low] > values[high]:
        query.refuse(code, f"{low} is not greater than {high}.", low)


__all__ = [
    "AmountFilter",
    "CountryField",
    "CreatedFilter",
    "EmailField",
    "EnumField",
    "Expand",
    "ExternalReferenceField",
    "Flag",
    "IdField",
    "ListQuery",
    "Query",
    "Several",
    "StrictString",
    "TimestampField",
    "UpdatedFilter",
    "WholeNumber",
]
