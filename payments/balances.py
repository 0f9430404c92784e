"""Reading what a processor keeps for a merchant: its balance now, the movements of it, and what was paid out."""

from django.db.models import QuerySet

from flint.actors import Actor
from flint.errors import Unavailable
from flint.merchants.models import Environment
from payments.models import BalanceTransaction, Payout
from payments.processors import processor_of
from payments.processors.base import BalanceState, ProcessorError


class BalanceSnapshotUnavailable(Unavailable):
    code = "BALANCE_SNAPSHOT_UNAVAILABLE"
    message = "The payment processor cannot say at the moment what it keeps. Try again."


class PayoutEntriesUnavailable(Unavailable):
    code = "PAYOUT_ENTRIES_UNAVAILABLE"
    message = "What this payout consists of is not known completely."


def snapshot(*, actor: Actor, currency: str | None = None) -> list[BalanceState]:
    """
    Ask the processor what it keeps now, by currency.

    :raises BalanceSnapshotUnavailable: if there is none, or it does not answer.
    """
    environment = Environment.objects.get(id=actor.environment_id)
    if not environment.processor:
        raise BalanceSnapshotUnavailable("No payment processor is configured.")
    try:
        kept = processor_of(environment.processor).balances(environment_id=environment.id)
    except ProcessorError:
        raise BalanceSnapshotUnavailable from None
    return [state for state in kept if currency in (None, state.currency)]


def readable(actor: Actor) -> QuerySet[BalanceTransaction]:
    """Return the actor's movements with all that is shown of them."""
    return BalanceTransaction.objects.of(actor).select_related("environment", "order")


def payouts(actor: Actor) -> QuerySet[Payout]:
    """Return the actor's payouts with all that is shown of them."""
    return Payout.objects.of(actor).select_related("environment")


def entries(payout_id: str, *, actor: Actor) -> QuerySet[BalanceTransaction]:
    """
    Return the movements that a payout paid out.

    :raises PayoutNotFound: if it is absent or foreign.
    :raises PayoutEntriesUnavailable: if it is paid and not all of them are known.
    """
    payout = payouts(actor).find(id=payout_id)
    if payout.status == "paid" and not payout.entries_complete_at:
        raise PayoutEntriesUnavailable(current_status=payout.status)
    return readable(actor).filter(payout_id=payout.id)
