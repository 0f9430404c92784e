"""
Fields of requests and responses. Nothing is coerced on the way in, and every refusal has a code of the contract.

Each takes ``code=`` for whatever is wrong with its value, and ``code_<reason>=`` for one reason, such as
``code_required="LINE_ITEM_NAME_REQUIRED"``. Reasons: ``required``, ``null``, ``type``, ``blank``, ``too_short``,
``too_long``, ``below``, ``above``, ``choice``, ``format``, ``negative``, ``currency``, ``number``, ``few``, ``many``.
"""

from flint.api.fields.base import Coded, CodedField
from flint.api.fields.compound import ListOf, MetadataField, MetadataPatchField
from flint.api.fields.money import MoneyField, SignedMoneyField
from flint.api.fields.scalars import PercentField, StrictBoolean, StrictInteger, TimestampField
from flint.api.fields.texts import (
    ColorField,
    CountryField,
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    PhoneField,
    PictureField,
    StrictString,
    TimezoneField,
    UrlField,
)

__all__ = [
    "Coded",
    "CodedField",
    "ColorField",
    "CountryField",
    "EmailField",
    "EnumField",
    "ExternalReferenceField",
    "IdField",
    "ListOf",
    "MetadataField",
    "MetadataPatchField",
    "MoneyField",
    "PercentField",
    "PhoneField",
    "PictureField",
    "SignedMoneyField",
    "StrictBoolean",
    "StrictInteger",
    "StrictString",
    "TimestampField",
    "TimezoneField",
    "UrlField",
]
