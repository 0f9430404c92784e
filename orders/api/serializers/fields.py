"""Fields of what is shown of an order: derived from its row, left out when empty, amounts in the order's currency."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers

from flint.api.fields import MoneyField, StrictString


class Derived(serializers.Field):
    """
    A member worked out from the whole row; shown like ``child``, left out when the function returns None.

    The function only runs when the member is shown, so it may read what nobody else needs.
    """

    def __init__(self, function: Callable[[Any], Any], child: serializers.Field, **kwargs):
        self.function, self.child = function, child
        super().__init__(**kwargs)
        self.child.bind(field_name="", parent=self)

    def get_attribute(self, instance: Any) -> Any:
        return self.function(instance)

    def to_representation(self, value: Any) -> Any:
        return self.child.to_representation(value)


class Filled(Derived):
    """A text that is left out while it is empty."""

    def __init__(self, column: str, **kwargs):
        super().__init__(lambda row: getattr(row, column) or None, StrictString(), **{"required": False, **kwargs})


class AmountField(Derived):
    """A column of minor units, or a property, as money of the order that the row belongs to."""

    def __init__(self, column: str, *, child: serializers.Field | None = None, **kwargs):
        def money_of(row: Any) -> Any:
            amount = getattr(row, column)
            return None if amount is None else getattr(row, "order", row).money(amount)

        super().__init__(money_of, child or MoneyField(), **kwargs)


class _DerivedExtension(OpenApiSerializerFieldExtension):
    """Lets a derived member look like its child in the API document."""

    target_class = "orders.api.serializers.fields.Derived"
    match_subclasses = True

    def map_serializer_field(self, auto_schema, direction):
        return auto_schema.map_field(self.target.child, direction)
