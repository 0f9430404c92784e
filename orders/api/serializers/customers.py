"""How customers are described and shown, and how the rooms to the right show more of them."""

import copy
from collections.abc import Callable, Collection, Sequence

from rest_framework import serializers

from flint.api.addresses import AddressInput, AddressOutput
from flint.api.fields import (
    EmailField,
    ExternalReferenceField,
    IdField,
    MetadataField,
    MetadataPatchField,
    PhoneField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Input, Output, Patch, shared
from flint.api.tax_identities import TaxIdentityInput, TaxIdentityOutput
from orders.api.serializers.fields import Derived, Filled
from orders.models import Customer

NOTE_LENGTH = 5_000
RESERVED = {"group_id"}

Loader = Callable[[Sequence[Customer]], None]


class CreateCustomerInput(Input):
    """A new customer, known by an email address."""

    reserved = RESERVED

    email = EmailField(code_required="CUSTOMER_EMAIL_REQUIRED", code_null="CUSTOMER_EMAIL_REQUIRED")
    name = StrictString(required=False)
    phone = PhoneField(required=False)
    billing_address = AddressInput(required=False)
    shipping_address = AddressInput(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    internal_note = StrictString(required=False, min_length=0, max_length=NOTE_LENGTH, code_too_long="NOTE_TOO_LONG")
    is_verified = StrictBoolean(required=False)
    tax_exempt = StrictBoolean(required=False)
    tax_identity = TaxIdentityInput(required=False)
    default_invoice_payment_term_id = IdField("ipt", required=False, code="INVALID_INVOICE_PAYMENT_TERM")
    metadata = MetadataField(required=False)


class UpdateCustomerInput(Patch):
    """A sparse change of a customer; null clears."""

    reserved = RESERVED
    guards = ("expected_version",)

    name = StrictString(allow_null=True)
    phone = PhoneField(allow_null=True)
    billing_address = AddressInput(allow_null=True)
    shipping_address = AddressInput(allow_null=True)
    external_reference_id = ExternalReferenceField(allow_null=True)
    internal_note = StrictString(allow_null=True, min_length=0, max_length=NOTE_LENGTH, code_too_long="NOTE_TOO_LONG")
    is_verified = StrictBoolean()
    tax_exempt = StrictBoolean()
    tax_identity = TaxIdentityInput(allow_null=True)
    default_invoice_payment_term_id = IdField("ipt", allow_null=True, code="INVALID_INVOICE_PAYMENT_TERM")
    metadata = MetadataPatchField()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


class CustomerSummaryOutput(Output):
    """A customer beside something else."""

    customer_id = IdField("cus", source="id")
    email = StrictString()
    name = Filled("name")
    phone = Filled("phone")
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


class CustomerOutput(CustomerSummaryOutput):
    """Somebody who buys from the merchant."""

    expandable: set[str] = set()
    extensions: dict[str, serializers.Field] = {}
    loaders: dict[str, Loader] = {}

    merchant_id = IdField("mer", source="environment.merchant_id", required=False)
    version = StrictInteger(minimum=1)
    billing_address = AddressOutput(required=False)
    shipping_address = AddressOutput(required=False)
    external_reference_id = Filled("external_reference_id")
    internal_note = Filled("internal_note")
    is_verified = StrictBoolean(required=False)
    tax_exempt = StrictBoolean(required=False)
    tax_identity = TaxIdentityOutput(required=False)
    default_invoice_payment_term_id = Filled("default_invoice_payment_term_id")
    metadata = MetadataField(required=False)
    default_payment_method_id = Derived(
        lambda customer: customer.default_payment_method_id or None, IdField("pm"), required=False
    )

    def get_fields(self):
        return {**super().get_fields(), **copy.deepcopy(self.extensions)}


def extend_customer(**fields: serializers.Field) -> None:
    """
    Show more of a customer that a request expands by these names. For the ``ready`` of the rooms to the right.

    Declare ``required=False``: it is only there when it was asked for.
    """
    CustomerOutput.extensions.update(fields)
    CustomerOutput.expandable.update(fields)
    shared.cache_clear()


def loads_customers(name: str) -> Callable[[Loader], Loader]:
    """Register a function that reads what an expansion shows for many customers at once, and puts it on them."""

    def register(load: Loader) -> Loader:
        CustomerOutput.loaders[name] = load
        return load

    return register


def load_expanded(customers: Sequence[Customer], expand: Collection[str]) -> None:
    """Read what a request expands for all the customers that it shows."""
    for name in expand:
        if name in CustomerOutput.loaders:
            CustomerOutput.loaders[name](customers)
