"""Showing objects: as they are now, with the objects behind their ids where that was asked for."""

import copy
from typing import Any

from flint.testing.stripe_server.errors import invalid

DEEPEST = 4

EXPANDABLE: dict[str, dict[str, str]] = {
    "payment_intent": {"customer": "customer", "latest_charge": "charge", "payment_method": "payment_method"},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
    },
    "refund": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
    },
    "setup_intent": {"customer": "customer", "payment_method": "payment_method"},
    "payment_method": {"customer": "customer"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "balance_transaction": {"source": "source"},
    # What a movement is about is of one kind or another, and so is what can be expanded in it.
    "source": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "customer": "customer",
        "payment_intent": "payment_intent",
    },
    "payout": {"balance_transaction": "balance_transaction", "failure_balance_transaction": "balance_transaction"},
    "customer": {},
    "event": {},
}


def check_expand(kind: str, paths: list[str], *, is_list: bool = False) -> list[str]:
    """
    Return what is to be expanded in each object.

    :raises ApiError: if something cannot be. So it is said before anything is done, or a call could be refused that was
        carried out.
    """
    found = []
    for path in paths:
        steps = path.split(".")
        if is_list and steps.pop(0) != "data":
            raise _unexpandable(path)
        if not 0 < len(steps) <= DEEPEST:
            raise _unexpandable(path)
        here = kind
        for step in steps:
            if step not in EXPANDABLE[here]:
                raise _unexpandable(path)
            here = EXPANDABLE[here][step]
        found.append(".".join(steps))
    return found


class Showing:
    """What a book does to show its objects."""

    objects: dict[str, dict[str, Any]]

    def show(self, thing: Any, expand: list[str] = ()) -> dict[str, Any]:
        """Return an object as it is now. :raises ApiError: if something cannot be expanded."""
        raw = thing if isinstance(thing, dict) else thing.intent
        shown = self._copy(raw)
        for path in check_expand(shown["object"], list(expand)):
            self._expand(shown, path.split("."))
        return shown

    def _expand(self, shown: dict[str, Any], steps: list[str]) -> None:
        name, *rest = steps
        value = shown.get(name)
        if isinstance(value, str):
            value = shown[name] = self._copy(self.objects[value])
        if rest and value:
            self._expand(value, rest)

    def _copy(self, raw: dict[str, Any]) -> dict[str, Any]:
        shown = copy.deepcopy(raw)
        if shown["object"] == "balance_transaction":
            shown["status"] = self._status_of(raw)
        if shown["object"] == "dispute":
            shown["balance_transactions"] = [self._copy(move) for move in raw["balance_transactions"]]
        return shown

    def _status_of(self, movement: dict[str, Any]) -> str:
        return "available" if movement["available_on"] <= self.clock.now() else "pending"

    def _keep(self, thing: dict[str, Any]) -> dict[str, Any]:
        self.objects[thing["id"]] = thing
        return thing

    def _tell(self, type: str, thing: dict[str, Any]) -> None:
        self.emit(type, self._copy(thing))


def _unexpandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", param="expand")
