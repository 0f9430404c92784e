"""Keeping customers."""

from collections.abc import Mapping
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
)


class CustomerEmailAlreadyUsed(Conflict):
    code = "CUSTOMER_EMAIL_ALREADY_USED"
    message = "Another customer of this environment has this email address."


class VersionConflict(Conflict):
    code = "VERSION_CONFLICT"
    message = "The customer has changed since you read it. Read it again and decide anew."


def create_customer(*, data: Mapping[str, Any], actor: Actor) -> Customer:
    """:raises CustomerEmailAlreadyUsed: if the environment has a customer with this address, in any case."""
    columns = {name: data[name] for name in COLUMNS if data.get(name) is not None}
    customer = Customer(
        environment_id=actor.environment_id, email=data["email"], metadata=data.get("metadata", {}), **columns
    )
    try:
        with transaction.atomic():
            customer.save(force_insert=True)
            _remember(customer, "customer.created", actor)
    except IntegrityError as error:
        if "customer_email_once" in str(error):
            raise CustomerEmailAlreadyUsed(param="email") from None
        raise
    return customer


def update_customer(*, customer_id: str, data: Mapping[str, Any], actor: Actor) -> Customer:
    """:raises CustomerNotFound: if absent or foreign. :raises VersionConflict: if ``expected_version`` is stale."""
    with transaction.atomic():
        customer = Customer.objects.of(actor).lock(id=customer_id)
        if "expected_version" in data and data["expected_version"] != customer.version:
            raise VersionConflict(param="expected_version", current_version=customer.version)
        for name in COLUMNS:
            if name in data:
                empty = None if name.endswith("_address") else ""
                setattr(customer, name, empty if data[name] is None else data[name])
        if "metadata" in data:
            customer.metadata = merge(customer.metadata, data["metadata"])
        customer.version += 1
        customer.save()
        _remember(customer, "customer.updated", actor, changed=sorted(set(data) - {"expected_version"}))
    return customer


def _remember(customer: Customer, type: str, actor: Actor, **data: Any) -> None:
    events.record_apart(customer.environment_id, type, subject=customer, actor=actor, **data)
