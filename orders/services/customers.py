"""Keeping customers."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict
from flint.events import services as events
from orders.models import Customer

COLUMNS = (
    "name",
    "phone",
    "billing_address",
    "shipping_address",
    "external_reference_id",
    "internal_note",
    "is_verified",
    "tax_exempt",
    "tax_identity",
    "default_invoice_payment_term_id",
)
EMPTY = {"billing_address": None, "shipping_address": None, "tax_identity": None}
"""What a column holds once it was cleared, where that is not an empty text."""

term_checks: list[Callable[[str, Actor], None]] = []
"""What refuses a payment term that no invoice could take, and keeps others as they are; the room of invoices knows."""


class CustomerEmailAlreadyUsed(Conflict):
    code = "CUSTOMER_EMAIL_ALREADY_USED"
    message = "Another customer of this environment has this email address."


class VersionConflict(Conflict):
    code = "VERSION_CONFLICT"
    message = "The customer has changed since you read it. Read it again and decide anew."


def create_customer(*, data: Mapping[str, Any], actor: Actor) -> Customer:
    """
    Keep a new customer.

    :raises CustomerEmailAlreadyUsed: if the environment has a customer with this address, in any case.
    :raises FlintError: if the payment term is none that an invoice could take.
    """
    columns = {name: data[name] for name in COLUMNS if data.get(name) is not None}
    customer = Customer(
        environment_id=actor.environment_id, email=data["email"], metadata=data.get("metadata", {}), **columns
    )
    try:
        with transaction.atomic():
            _check_term(data, actor)
            customer.save(force_insert=True)
            _remember(customer, "customer.created", actor)
    except IntegrityError as error:
        if "customer_email_once" in str(error):
            raise CustomerEmailAlreadyUsed(param="email") from None
        raise
    return customer


def update_customer(*, customer_id: str, data: Mapping[str, Any], actor: Actor) -> Customer:
    """
    Change a customer: what is left out stays, null clears.

    :raises CustomerNotFound: if absent or foreign. :raises VersionConflict: if ``expected_version`` is stale.
    :raises FlintError: if the payment term is none that an invoice could take.
    """
    with transaction.atomic():
        customer = Customer.objects.of(actor).lock(id=customer_id)
        if "expected_version" in data and data["expected_version"] != customer.version:
            raise VersionConflict(param="expected_version", current_version=customer.version)
        for name in COLUMNS:
            if name in data:
                setattr(customer, name, EMPTY.get(name, "") if data[name] is None else data[name])
        _check_term(data, actor)
        if "metadata" in data:
            customer.metadata = merge(customer.metadata, data["metadata"])
        customer.version += 1
        customer.save()
        _remember(customer, "customer.updated", actor, changed=sorted(set(data) - {"expected_version"}))
    return customer


def _check_term(data: Mapping[str, Any], actor: Actor) -> None:
    if term_id := data.get("default_invoice_payment_term_id"):
        for check in term_checks:
            check(term_id, actor)


def _remember(customer: Customer, type: str, actor: Actor, **data: Any) -> None:
    events.record_apart(customer.environment_id, type, subject=customer, actor=actor, **data)
