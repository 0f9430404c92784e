"""What requests must look like and what responses do: Input, Patch and Output."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import SkipField

from flint.api.fields import Coded


class Input(Coded, serializers.Serializer):
    """
    An object of a request. Unknown members are refused at every level; nothing is coerced.

    ``reserved`` names members of the contract that this installation cannot serve yet.
    ``body_optional`` lets a request leave the whole body out, as if it were ``{}``.
    ``refusals`` names the codes that ``validate`` refuses with.
    """

    codes = {"type": "INVALID_REQUEST"}
    default_error_messages = {"type": "This field is an object."}
    reserved: frozenset[str] | set[str] | dict[str, str] = frozenset()
    body_optional = False

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self.fail("type")
        unknown = {name: [self._refusal_of(name)] for name in data if name not in self.fields}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**unknown, **error.detail}) from None
        if unknown:
            raise ValidationError(unknown)
        return values

    def possible_codes(self):
        codes = super().possible_codes() | {"UNKNOWN_FIELD"}
        if self.reserved:
            codes.add("RESERVED_FIELD_NOT_YET_SUPPORTED")
        return codes | codes_of_members(self)

    def _refusal_of(self, name: str) -> ErrorDetail:
        if name in self.reserved:
            return ErrorDetail("This installation does not support this field yet.", "RESERVED_FIELD_NOT_YET_SUPPORTED")
        return ErrorDetail("There is no such field.", "UNKNOWN_FIELD")

    def exactly_one(self, values: Mapping[str, Any], *names: str, code: str = "EXACTLY_ONE_REQUIRED") -> str:
        """Return the one of these members that is present; for use in ``validate``."""
        present = [name for name in names if values.get(name) is not None]
        if len(present) != 1:
            self.refuse(code, f"Exactly one of {', '.join(names)} is required.")
        return present[0]


def codes_of_members(part: serializers.Serializer) -> set[str]:
    """Return every code that the members of an input or a query may refuse with."""
    return set().union(*(member.possible_codes() for member in part.fields.values() if isinstance(member, Coded)))


@cache
def shared(
    serializer_class: type["Input | Output"], expand: frozenset[str] = frozenset(), *, for_buyer: bool = False
) -> Any:
    """
    Return one instance for all requests.

    Making an instance copies all its fields, which costs more than using it; and using it changes nothing.

    :param for_buyer: without what only the merchant is shown, at every level.
    """
    serializer = serializer_class(context={"expand": expand})
    _ = serializer.fields  # Made here, so that the copies of a query share them.
    if for_buyer:
        _take_out_what_is_the_merchants(serializer)
    return serializer


def _take_out_what_is_the_merchants(field: serializers.Field | None) -> None:
    if isinstance(field, Output):
        for name in field.merchant_only:
            field.fields.pop(name, None)
    for inner in field.fields.values() if isinstance(field, Output) else [getattr(field, "child", None)]:
        if inner is not None:
            _take_out_what_is_the_merchants(inner)


class Patch(Input):
    """
    A sparse change: what is absent stays as it is. At least one member is to be changed.

    ``guards`` are members that only protect the change, such as ``order_revision``.
    """

    guards: tuple[str, ...] = ()
    refusals = ("NO_FIELDS_TO_UPDATE",)

    def get_fields(self):
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields

    def validate(self, attrs):
        if not set(attrs) - set(self.guards):
            self.refuse("NO_FIELDS_TO_UPDATE", "Name at least one field to change.")
        return attrs


class Tagged(Input):
    """
    A union of inputs told apart by one member: ``tag = "action"``, ``variants = {"pay": PayInput, …}``.

    The tag itself is added to what the variant returns. A member of another variant is refused.
    """

    codes = {"choice": "INVALID_REQUEST"}
    tag = "type"
    variants: dict[str, type[Input]] = {}

    def possible_codes(self):
        of_variants = (shared(variant).possible_codes() for variant in self.variants.values())
        return super().possible_codes().union({self.code_for("required")}, *of_variants)

    def to_internal_value(self, data):
        if not isinstance(data, Mapping):
            self.fail("type")
        if self.tag not in data:
            self.refuse(self.code_for("required"), "This field is required.", self.tag)
        name = data[self.tag]
        if not isinstance(name, str) or name not in self.variants:
            self.refuse(self.code_for("choice"), f"This field is one of: {', '.join(self.variants)}.", self.tag)
        variant = shared(self.variants[name])
        rest = {key: value for key, value in data.items() if key != self.tag}
        return {self.tag: name, **variant.run_validation(rest)}


class Output(Coded, serializers.Serializer):
    """
    An object of a response. Absent values are left out; only a field with ``allow_null`` is written as null.

    Declare ``required=False`` for what may be absent. Members named in ``expandable`` appear when the request
    expands them: ``OrderOutput(order, context={"expand": query.expand})``. Members named in ``merchant_only`` are
    optional, and left out when it is a buyer who asks.
    """

    expandable: frozenset[str] | set[str] = frozenset()
    merchant_only: frozenset[str] | set[str] = frozenset()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = {}
        expand = self.context.get("expand", ()) if self.expandable else ()
        for name, field in self.fields.items():
            if name in self.expandable and name not in expand:
                continue
            value = self._value_of(field, instance)
            if value is not None:
                shown[name] = field.to_representation(value)
            elif field.allow_null:
                shown[name] = None
        return shown

    @staticmethod
    def _value_of(field: serializers.Field, instance: Any) -> Any:
        if not isinstance(field, Coded):
            try:
                return field.get_attribute(instance)
            except SkipField:
                return None
        # A misspelt attribute raises here, where DRF would write null for a nullable field.
        value = instance
        for name in field.source_attrs:
            if value is None:
                return None
            try:
                value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
            except ObjectDoesNotExist:
                return None
        return value


class Success(Output):
    """The answer to a delete."""

    success = serializers.SerializerMethodField()

    def get_success(self, _: Any) -> bool:
        return True
