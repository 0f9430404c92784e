"""Adding, changing and removing fees."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput
from orders.models import Charge, Order
from orders.services import parts
from orders.services.editing import Edit, editing


class PaidCharge(Conflict):
    code = "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"
    message = "The charge is paid. Correct it with a refund instead of an edit."


class CalculationBasisRequired(InvalidInput):
    code = "CALCULATION_BASIS_REQUIRED"
    message = "A charge in percent says what it is a percentage of: send 'calculation_basis'."


class CalculationBasisForbidden(InvalidInput):
    code = "CALCULATION_BASIS_FORBIDDEN"
    message = "A fixed charge has no basis. Leave 'calculation_basis' out or send 'percent'."


def add_charge(*, order_id: str, charge: Mapping[str, Any], actor: Actor) -> Order:
    """:raises OrderNotFound, OrderClosed, OrderPaymentAttemptActive: as :func:`editing`."""
    with editing(order_id, actor=actor) as edit:
        row = parts.add_charge(edit, charge, param="charge")
        edit.tell("order.charge_added", row, name=row.name)
    return edit.order


def update_charge(*, order_id: str, charge_id: str, data: Mapping[str, Any], actor: Actor) -> Order:
    """
    Change a fee; switching between amount and percent is one change.

    :raises OrderChargeNotFound: if it is not on this order. :raises PaidCharge: if its value was paid.
    """
    with editing(order_id, actor=actor) as edit:
        charge = _charge(edit, charge_id)
        if charge.is_paid_on(edit.order) and set(data) & {"amount_money", "percent", "calculation_basis", "tax"}:
            raise PaidCharge
        for column in ("name", "type", "description"):
            if column in data:
                setattr(charge, column, data[column])
        parts.set_charge_value(edit.order, charge, data, param="")
        if charge.percent is not None and not charge.calculation_basis:
            raise CalculationBasisRequired(param="calculation_basis")
        if charge.percent is None and charge.calculation_basis:
            raise CalculationBasisForbidden(param="calculation_basis")
        if "metadata" in data:
            charge.metadata = merge(charge.metadata, data["metadata"])
        parts.set_tax(edit, charge, data.get("tax"), param="tax")
        edit.tell("order.charge_updated", charge, changed=sorted(data))
    return edit.order


def remove_charge(*, order_id: str, charge_id: str, actor: Actor) -> Order:
    """:raises OrderChargeNotFound: if it is not on this order. :raises PaidCharge: if it was paid."""
    with editing(order_id, actor=actor) as edit:
        charge = _charge(edit, charge_id)
        if charge.is_paid_on(edit.order):
            raise PaidCharge
        edit.remove(charge)
        edit.tell("order.charge_removed", charge, name=charge.name)
    return edit.order


def _charge(edit: Edit, charge_id: str) -> Charge:
    for charge in edit.parts.charges:
        if charge.id == charge_id:
            return charge
    raise Charge.missing()
