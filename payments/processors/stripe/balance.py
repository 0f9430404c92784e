"""Stripe's balance in the words of the processor contract: its movements, the payouts out of it, and what it holds."""

from collections.abc import Mapping
from typing import Any

from payments.processors.base import BalanceState, BalanceTransactionState, DoesNotFit, PayoutState
from payments.processors.stripe import mapping
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.states import belonging, id_of, moment

SHOWN = ["data.source"]
"""What a page of movements brings along, or each charge and its PaymentIntent would have to be asked for."""

CATEGORIES: dict[str, str] = {
    # By Stripe's reporting category, which tells apart what its type lumps together as "adjustment". What failed or was
    # taken back counts under the name of what it undoes, with the other sign, so that each object's movements sum up.
    "charge": "payment",
    "charge_failure": "payment",
    "dispute": "dispute",
    "dispute_reversal": "dispute_reversal",
    "partial_capture_reversal": "payment",
    "payout": "payout",
    "payout_reversal": "payout_reversal",
    "refund": "refund",
    "refund_failure": "refund",
}

TYPES: dict[str, str] = {
    # These two are told apart by their type alone; to the reporting category both are a payout's reversal.
    "payout_cancel": "payout_cancellation",
    "payout_failure": "payout_failure",
    "payment_network_reserve_hold": "reserve_hold",
    "payment_network_reserve_release": "reserve_release",
    "payout_minimum_balance_hold": "reserve_hold",
    "payout_minimum_balance_release": "reserve_release",
    "reserve_hold": "reserve_hold",
    "reserve_release": "reserve_release",
}

FALLBACKS: dict[str, str] = {
    # For a movement without a category that is known here.
    "charge": "payment",
    "payment": "payment",
    "payment_failure_refund": "payment",
    "payment_refund": "refund",
    "payment_reversal": "payment",
    "payout": "payout",
    "refund": "refund",
    "refund_failure": "refund",
}

SOURCES: dict[str, str] = {"charge": "payment", "refund": "refund", "dispute": "dispute", "payout": "payout"}
PREFIXES: dict[str, str] = {
    "ch": "payment",
    "py": "payment",
    "re": "refund",
    "pyr": "refund",
    "dp": "dispute",
    "du": "dispute",
    "po": "payout",
}

PAYOUT_STATUSES = frozenset({"pending", "in_transit", "paid", "failed", "canceled"})


def movement_state(account: StripeAccount, movement: Mapping[str, Any]) -> BalanceTransactionState:
    """
    Return a BalanceTransaction as the contract has it, its source by the name that Flint knows.

    :raises DoesNotFit: if it belongs to the other mode, or an amount is no whole one here.
    """
    source = movement.get("source")
    if isinstance(source, Mapping):
        belonging(account, {"id": movement["id"], **_mode(source)}, of_any=True)
    currency = movement["currency"]
    amount, fee = (mapping.from_stripe(movement[name], currency).amount for name in ("amount", "fee"))
    type = _type(movement)
    kind, reference = _source(source)
    if (type, kind) == ("payment", "refund"):
        # A payment that failed late, or a part of a hold that was not taken: Stripe books that as a refund, under whose
        # name it is not documented, and nobody was given anything back.
        kind, reference = "payment", _payment_of(source) or reference
    return BalanceTransactionState(
        reference=movement["id"],
        type=type,
        status="available" if movement["status"] == "available" else "pending",
        amount=amount,
        fee_amount=fee,
        net_amount=amount - fee,
        currency=currency.upper(),
        environment_id=_environment(account, source),
        occurred_at=moment(movement["created"]),
        available_at=moment(movement.get("available_on")),
        source_kind=kind,
        source_reference=reference,
        description=movement.get("description") or "",
    )


def payout_state(account: StripeAccount, payout: Mapping[str, Any], *, of_any: bool = False) -> PayoutState:
    """
    Return a Payout as the contract has it.

    :raises DoesNotFit: if it is of the other mode, or in a state this adapter does not know.
    """
    _, environment_id = belonging(account, payout, of_any=of_any)
    if payout["status"] not in PAYOUT_STATUSES:
        raise DoesNotFit(f"{payout['id']} is {payout['status']}")
    return PayoutState(
        reference=payout["id"],
        status=payout["status"],
        money=mapping.from_stripe(payout["amount"], payout["currency"]),
        environment_id=environment_id,
        is_automatic=bool(payout.get("automatic")),
        arrives_at=moment(payout.get("arrival_date")),
        failure_code=payout.get("failure_code") or "",
        failure_message=payout.get("failure_message") or "",
        description=payout.get("description") or "",
        created_at=moment(payout.get("created")),
    )


def balance_states(account: StripeAccount, balance: Mapping[str, Any]) -> list[BalanceState]:
    """Return a Balance by currency. :raises DoesNotFit: as :func:`movement_state`."""
    belonging(account, {"id": "the balance", **_mode(balance)})
    available, pending = (_by_currency(balance.get(name) or []) for name in ("available", "pending"))
    return [
        BalanceState(currency, available.get(currency, 0), pending.get(currency, 0))
        for currency in sorted(available | pending)
    ]


def is_payouts_own(movement: Mapping[str, Any], payout_reference: str) -> bool:
    """Tell the movement that took a payout out of the balance, which Stripe lists among those that it paid out."""
    return id_of(movement.get("source")) == payout_reference


def _type(movement: Mapping[str, Any]) -> str:
    kind, category = movement.get("type"), movement.get("reporting_category")
    return (
        TYPES.get(kind) or CATEGORIES.get(category) or (FALLBACKS.get(kind) if not category else None) or "adjustment"
    )


def _source(source: Any) -> tuple[str, str]:
    if not source:
        return "", ""
    if not isinstance(source, Mapping):
        kind = PREFIXES.get(source.partition("_")[0], "")
        return kind, source if kind else ""
    kind = SOURCES.get(source.get("object"), "")
    if kind == "payment":
        # A charge that was made without a PaymentIntent cannot be ours, and stays under its own name.
        return kind, id_of(source.get("payment_intent")) or source["id"]
    return kind, source["id"] if kind else ""


def _payment_of(refund: Any) -> str:
    shown = refund if isinstance(refund, Mapping) else {}
    return id_of(shown.get("payment_intent")) or id_of(shown.get("charge"))


def _environment(account: StripeAccount, source: Any) -> str:
    """Return whose payment or refund a movement is about, as far as Stripe shows it."""
    shown = source if isinstance(source, Mapping) else {}
    return belonging(account, {"id": "", "metadata": shown.get("metadata")}, of_any=True)[1]


def _by_currency(rows: list[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        money = mapping.from_stripe(row["amount"], row["currency"])
        sums[money.currency] = sums.get(money.currency, 0) + money.amount
    return sums


def _mode(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {"livemode": thing["livemode"]} if "livemode" in thing else {}
