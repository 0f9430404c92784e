"""Postal addresses, of customers and of merchants."""

from collections.abc import Mapping

from flint.api.fields import CountryField, StrictString
from flint.api.serializers import Input, Output


class AddressOutput(Output):
    """A postal address."""

    line1 = StrictString()
    line2 = StrictString(required=False)
    city = StrictString()
    state = StrictString()
    postal_code = StrictString()
    country = StrictString()


class AddressInput(Input):
    """A postal address."""

    shown_as = AddressOutput

    line1 = StrictString(max_length=255, label="Street and number")
    line2 = StrictString(max_length=255, min_length=0, required=False, label="Building, floor or the like")
    city = StrictString(max_length=100)
    state = StrictString(max_length=100, label="State or province")
    postal_code = StrictString(max_length=20)
    country = CountryField(label="Country, two letters")


def in_one_line(address: Mapping[str, str] | None) -> str:
    """Write an address for people; empty if there is none. What the database keeps of it has no order."""
    parts = ("line1", "line2", "postal_code", "city", "state", "country")
    return ", ".join(address[part] for part in parts if address.get(part)) if address else ""
