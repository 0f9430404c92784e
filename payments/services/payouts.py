"""
Learning what became of a payout. Lists, notices and later questions all come through :func:`record_payout`.

The ledger is not touched here: the money leaves the processor's account with the movement that took it out of the
balance, and comes back with the one that returned it (``payments.services.bookkeeping``).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import after_commit
from flint.events import services as events
from payments import tasks
from payments.models import Payout
from payments.processors import processor_of
from payments.processors.base import DoesNotFit, PayoutState
from payments.services.movements import record_listed

log = structlog.get_logger(__name__)

CHECK_AFTER = timedelta(minutes=15)
"""How long a payout that is under way is left alone; so is one whose movements are not all known yet."""

WATCH_AFTER = timedelta(hours=12)
WATCHED_FOR = timedelta(days=10)
"""How long a paid payout is still asked about: its bank may send it back."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
BATCH = 100


def record_payout(
    state: PayoutState,
    *,
    processor: str,
    actor: Actor,
    at: datetime | None = None,
    also: Callable[[], None] | None = None,
) -> Payout:
    """
    Apply a payout's state at the processor, forward only; a state already known changes nothing.

    ``also`` runs in the same transaction, for the caller's own mark that the fact is dealt with.

    :raises DoesNotFit: if it is another environment's, or told with another amount than before.
    """
    at = at or timezone.now()
    with transaction.atomic():
        payout, is_news = _record(state, processor, actor, at)
        if is_news and payout.status not in ("failed", "canceled"):
            payout.next_check_at = at
            after_commit(tasks.check_payout, payout_id=payout.id, environment_id=payout.environment_id)
        payout.save()
        if also:
            also()
    return payout


def _record(state: PayoutState, processor: str, actor: Actor, at: datetime) -> tuple[Payout, bool]:
    """Return the locked payout with the state applied, not saved yet, and whether it was news."""
    if state.environment_id != actor.environment_id:
        raise DoesNotFit(f"{state.reference} is of another environment")
    made = Payout(
        environment_id=actor.environment_id,
        processor=processor,
        reference=state.reference,
        initiated_by="scheduled" if state.is_automatic else "manual",
        amount=state.money.amount,
        currency=state.money.currency,
        made_at=state.created_at or at,
    )
    if not Payout.objects.of(actor).filter(processor=processor, reference=state.reference).exists():
        Payout.objects.bulk_create([made], ignore_conflicts=True)
    payout = Payout.objects.of(actor).lock(processor=processor, reference=state.reference)
    if payout.money != state.money:
        raise DoesNotFit(f"{state.reference} is {state.money} and was {payout.money}")
    is_new = payout.id == made.id
    if is_new:
        events.record_apart(payout.environment_id, "payout.created", subject=payout, actor=actor, amount=payout.amount)
    payout.arrives_at = state.arrives_at or payout.arrives_at
    payout.description = state.description or payout.description
    return payout, _follow(payout, state, actor, at) or is_new


def _follow(payout: Payout, state: PayoutState, actor: Actor, at: datetime) -> bool:
    """Take over a status that lies ahead. Tell whether there was one."""
    if not payout.can_become(state.status):
        return False
    if state.status == "in_transit":
        payout.send()
    elif state.status == "paid":
        payout.pay(at=at)
    elif state.status == "failed":
        payout.fail(code=state.failure_code, message=state.failure_message, at=at)
    else:
        payout.cancel()
    type = "payout.updated" if state.status == "in_transit" else f"payout.{state.status}"
    events.record_apart(payout.environment_id, type, subject=payout, actor=actor, amount=payout.amount)
    return True


def check_payout(payout_id: str, *, actor: Actor, at: datetime | None = None) -> Payout:
    """
    Ask the processor how a payout stands, and which movements an automatic one paid out.

    :raises ProcessorError: if it cannot be asked; then everything stays as it is.
    """
    at = at or timezone.now()
    payout = Payout.objects.of(actor).find(id=payout_id)
    processor = processor_of(payout.processor)
    # Whatever becomes of the asking, the next turn is for others first.
    Payout.objects.filter(id=payout.id).update(next_check_at=at + CHECK_AFTER)
    state = processor.retrieve_payout(environment_id=payout.environment_id, reference=payout.reference)
    if state is None:
        raise DoesNotFit(f"the processor has no payout {payout.reference}")
    with transaction.atomic():
        payout, _ = _record(state, payout.processor, actor, at)
        payout.save()
    if payout.is_automatic and not payout.entries_complete_at and payout.status in ("in_transit", "paid"):
        _collect_entries(payout, actor, at)
    return _settle_check(payout.id, actor, at)


def _collect_entries(payout: Payout, actor: Actor, at: datetime) -> None:
    """Record every movement that a payout paid out, whenever it was made."""
    paid_out = processor_of(payout.processor).list_balance_transactions(
        environment_id=payout.environment_id, since=BEGINNING, until=at, payout_reference=payout.reference
    )
    record_listed(paid_out, processor=payout.processor, actor=actor, at=at, payout=payout)


def _settle_check(payout_id: str, actor: Actor, at: datetime) -> Payout:
    """Mark the entries complete if they sum up to the payout, and set when it is asked about again."""
    with transaction.atomic():
        payout = Payout.objects.of(actor).lock(id=payout_id)
        if not payout.entries_complete_at and entries_total(payout) == payout.amount:
            payout.entries_complete_at = at
        is_watched = payout.status == "paid" and at - payout.made_at < WATCHED_FOR
        needs_entries = payout.is_automatic and not payout.entries_complete_at
        if payout.status in ("pending", "in_transit") or (is_watched and needs_entries):
            payout.next_check_at = at + CHECK_AFTER
        else:
            payout.next_check_at = at + WATCH_AFTER if is_watched else None
        payout.save(update_fields=["entries_complete_at", "next_check_at", "updated_at"])
    return payout


def entries_total(payout: Payout) -> int:
    """Return what the movements that a payout paid out come to."""
    return int(payout.entries.aggregate(total=Sum("net_amount"))["total"] or 0)


def check_due(environment_id: str, *, at: datetime) -> int:
    """Ask about every payout of an environment that is due. Return how many."""
    due = Payout.objects.filter(environment_id=environment_id, next_check_at__lte=at).order_by("next_check_at")[:BATCH]
    payouts = list(due)
    for payout in payouts:
        try:
            check_payout(payout.id, actor=actors.processor(environment_id, payout.processor), at=at)
        except DoesNotFit:
            # One that does not fit keeps no other from being asked about.
            log.exception("payout.does_not_fit", payout_id=payout.id)
    return len(payouts)
