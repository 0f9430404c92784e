"""Under which name, address and numbers somebody is known to tax authorities."""

from flint.api.addresses import AddressInput, AddressOutput
from flint.api.fields import CountryField, ListOf, StrictString
from flint.api.serializers import Input, Output


class TaxIdOutput(Output):
    """A number that a tax authority gave."""

    type = StrictString()
    value = StrictString()
    country = StrictString(required=False)


class TaxIdInput(Input):
    """A number that a tax authority gave: of which kind, such as ``eu_vat`` or ``us_ein``, and by which country."""

    shown_as = TaxIdOutput

    type = StrictString(min_length=2, max_length=32, pattern="[a-z0-9_]+", label="Kind, such as eu_vat")
    value = StrictString(max_length=64, pattern="[0-9A-Za-z .:/-]+", label="Number")
    country = CountryField(required=False, label="Country, two letters")


class TaxIdentityOutput(Output):
    """Somebody as known to tax authorities."""

    legal_name = StrictString(required=False)
    registered_address = AddressOutput(required=False)
    tax_ids = ListOf(TaxIdOutput(), required=False)


class TaxIdentityInput(Input):
    """Somebody as known to tax authorities."""

    legal_name = StrictString(required=False)
    registered_address = AddressInput(required=False)
    tax_ids = ListOf(TaxIdInput(), max_length=20, required=False)
