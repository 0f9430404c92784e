"""
Going through what Stripe has: pages of a hundred, one at a time, newest first.

What nobody here asked for is shown as well. What cannot be told in the contract's words, a status of the future or a
fraction of a smallest unit, is left out and logged, so that one row never stops the others from being compared.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import stripe
import structlog

from payments.processors.base import (
    BalanceTransactionState,
    DisputeState,
    DoesNotFit,
    NotOurs,
    PaymentState,
    PayoutState,
    RefundState,
)
from payments.processors.stripe import balance, disputes, states
from payments.processors.stripe.client import StripeRefused, plain, talking
from payments.processors.stripe.models import StripeAccount

log = structlog.get_logger(__name__)

PAGE = 100

State = TypeVar("State")


def payments(account: StripeAccount, since: datetime, until: datetime, shown: list[str]) -> Iterator[PaymentState]:
    """Go through the PaymentIntents of a stretch of time, with what ``shown`` names expanded."""
    params = _window(since, until) | {"expand": [f"data.{name}" for name in shown]}
    return _through(
        account,
        "list_payments",
        lambda client: client.v1.payment_intents.list(params),
        partial(states.payment_state, of_any=True),
    )


def refunds(account: StripeAccount, since: datetime, until: datetime) -> Iterator[RefundState]:
    """Go through the Refunds of a stretch of time, less those that only say that a hold lapsed."""
    return _through(
        account,
        "list_refunds",
        lambda client: client.v1.refunds.list(_window(since, until)),
        partial(states.refund_state, of_any=True),
        skip=lambda refund: refund.get("reason") == states.GIVEN_TO_NOBODY,
    )


def all_disputes(account: StripeAccount, since: datetime, until: datetime) -> Iterator[DisputeState]:
    """Go through the Disputes of a stretch of time."""
    params = _window(since, until) | {"expand": [f"data.{name}" for name in disputes.SHOWN]}
    return _through(
        account,
        "list_disputes",
        lambda client: client.v1.disputes.list(params),
        partial(disputes.dispute_state, of_any=True),
    )


def payouts(account: StripeAccount, since: datetime, until: datetime) -> Iterator[PayoutState]:
    """Go through the Payouts of a stretch of time."""
    return _through(
        account,
        "list_payouts",
        lambda client: client.v1.payouts.list(_window(since, until)),
        partial(balance.payout_state, of_any=True),
    )


def movements(
    account: StripeAccount, since: datetime, until: datetime, payout_reference: str
) -> Iterator[BalanceTransactionState]:
    """Go through the BalanceTransactions of a stretch of time, or through those that an automatic payout paid out."""
    # Whatever a payout paid out may be older than any window around it.
    which = {"payout": payout_reference, "limit": PAGE} if payout_reference else _window(since, until)
    rows = _through(
        account,
        "list_balance_transactions",
        lambda client: client.v1.balance_transactions.list(which | {"expand": balance.SHOWN}),
        balance.movement_state,
        skip=lambda movement: bool(payout_reference) and balance.is_payouts_own(movement, payout_reference),
    )
    return _none_by_hand(rows) if payout_reference else rows


def _none_by_hand(rows: Iterator[BalanceTransactionState]) -> Iterator[BalanceTransactionState]:
    """
    Go through what a payout paid out, which Stripe knows of automatic ones only.

    Whether it refuses to tell of another or shows nothing is not documented; either way there is nothing to go through.
    """
    is_first = True
    try:
        for row in rows:
            is_first = False
            yield row
    except StripeRefused as refusal:
        if refusal.code == "not_found" or not is_first:
            raise


def _window(since: datetime, until: datetime) -> dict[str, Any]:
    """
    Return a stretch of time as Stripe takes it, in whole seconds.

    Stripe cuts its own times to seconds, so what is made in the second of ``until`` may not be there yet. Both ends are
    cut as well: then that second belongs to the stretch that follows, and no object to none.
    """
    return {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}, "limit": PAGE}


def _through(
    account: StripeAccount,
    call: str,
    pages: Callable[[stripe.StripeClient], Any],
    read: Callable[[StripeAccount, Mapping[str, Any]], State],
    *,
    skip: Callable[[Mapping[str, Any]], bool] = lambda thing: False,
) -> Iterator[State]:
    with talking(account, call) as client:
        for found in pages(client).auto_paging_iter():
            thing = plain(found)
            if skip(thing):
                continue
            try:
                state = read(account, thing)
            except NotOurs:
                # Of the other mode, which a key of this one should never show.
                continue
            except DoesNotFit as error:
                log.error("stripe.left_out", call=call, environment_id=account.environment_id, reason=str(error))
                continue
            yield state
