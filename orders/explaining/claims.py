"""
What the rows of each room say has moved, apart from the ledger. The rooms to the right register theirs, so that an
explanation can hold the ledger against the rows that its entries come from, and nothing here imports to the right.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flint.events.models import Event
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A row that moved a figure of an order, by signed minor units, and what it is called in the API.

    ``source_id`` is what the ledger entries of the row have as their source.
    """

    figure: str
    amount: int
    resource_type: str
    resource_id: str
    source_id: str


Accounting = Callable[[Order], Iterable[Claim]]

_accountings: list[Accounting] = []


def accounts_for(account: Accounting) -> Accounting:
    """Register what a room's rows say, in a fixed number of statements. Rows that moved nothing may be left out."""
    _accountings.append(account)
    return account


def claims_on(order: Order, events: Iterable[Event]) -> list[Claim]:
    """Return everything that rows say of an order, of this room and of all rooms to the right."""
    closings = [
        Claim("credit", event.data["written_off_amount"], "order", order.id, order.id)
        for event in events
        if event.type == "order.closed"
    ]
    return closings + [claim for account in _accountings for claim in account(order)]
