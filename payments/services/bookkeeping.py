"""
Taking the movements of a processor's balance into the ledger, so that its processor account, by currency, is the
balance: what came in, less what went back, less fees, less payouts.

The rooms post what they know of: captures, refunds and withdrawals are in the ledger already when the processor lists
them. What is added here is the rest. The fee goes to the order that it was taken for. A payout goes from the processor
to the bank when the balance falls, which is when it is made: from then on the merchant can no longer spend it there,
and the payout's own status tells whether the bank has it. A movement that no row of ours accounts for becomes an
adjustment, so that the balance is right while people look for the reason; once it is explained, the adjustment is
taken back.

A payment may be settled in another currency than it was taken in. No rate is ever assumed: what the order's currency
counts leaves the processor's account there, what the processor says it became enters it here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from flint.actors import Actor
from flint.events import services as events
from flint.events.models import Event
from orders import ledger
from orders.models import Order
from payments.explaining import Explanation, explanations
from payments.models import BalanceTransaction, PaymentIntent, Payout

log = structlog.get_logger(__name__)

UNKNOWN_AFTER = timedelta(hours=1)
"""How long a movement may be of something whose answer is still on its way to us. Then it is posted unexplained."""

OVERDUE_AFTER = timedelta(days=30)
"""How long a movement may wait for its own row to be booked: a bank debit given back is pending for weeks."""

PAID_OUT = frozenset({"payout", "payout_failure", "payout_cancellation", "payout_reversal"})

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a movement comes to in the ledger.

    ``adjustment_amount`` is what is to be posted for it without an order, ``exchanged_amount`` what leaves the order's
    own currency.
    """

    explanation: Explanation | None = None
    adjustment_amount: int = 0
    exchanged_amount: int = 0
    is_explained: bool = True

    @property
    def order_id(self) -> str | None:
        """The order behind it, as far as there is one."""
        return self.explanation.order_id if self.explanation else None

    def touches_order(self, row: BalanceTransaction) -> bool:
        """Whether anything of it belongs to the order."""
        if self.order_id is None:
            return False
        return bool(self.exchanged_amount or row.type == "payment" or self.fee_is_the_orders(row))

    def fee_is_the_orders(self, row: BalanceTransaction) -> bool:
        """Whether there is a fee in the currency of the order that it was taken for."""
        known = self.explanation
        return bool(row.fee_amount and known and known.order_id and known.currency == row.currency)


def book(movements: Sequence[BalanceTransaction], *, processor: str, actor: Actor, at: datetime) -> None:
    """
    Post what can be explained by now, order by order; the rest is looked at again at the next sync.

    Whatever is read here is read again under its order's lock. A failure leaves one order's movements for the next
    time and is logged; it keeps nobody else's waiting.
    """
    if not movements:
        return
    plans = _plans(movements, processor, actor, at)
    # What only names an order does without its lock, and apart from all others: a row that refers to an order waits
    # for whoever has it locked, and would keep the movements waiting that it holds itself.
    together: dict[tuple[str | None, bool], list[str]] = defaultdict(list)
    for row in movements:
        plan = plans.get(row.id)
        if plan and not _is_as_booked(row, plan):
            together[plan.order_id, plan.touches_order(row)].append(row.id)
    # The next look is at others first.
    looked_at = [row.id for row in movements if row.id not in plans or _is_as_booked(row, plans[row.id])]
    if looked_at:
        BalanceTransaction.objects.filter(id__in=looked_at).update(looked_at=at)
    for (order_id, is_touched), ids in together.items():
        try:
            _book(order_id if is_touched else None, {row_id: plans[row_id] for row_id in ids}, actor, at)
        except Exception:
            log.exception("balance.booking_failed", order_id=order_id, movements=ids)


def _plans(movements: Sequence[BalanceTransaction], processor: str, actor: Actor, at: datetime) -> dict[str, Plan]:
    known = explanations(actor.environment_id, processor, movements)
    odd = {
        (row.source_kind, row.source_reference)
        for row in movements
        if row.source_kind
        and ((found := known.get((row.source_kind, row.source_reference))) is None or row.amount not in found.booked)
    }
    sums = _sums(odd, processor, actor)
    plans = {}
    for row in movements:
        key = (row.source_kind, row.source_reference)
        if plan := _plan(row, known.get(key), sums.get(key), at):
            plans[row.id] = plan
    return plans


def _sums(keys: set[Key], processor: str, actor: Actor) -> dict[Key, int]:
    """Return what all movements of a source come to: a processor may tell one of ours in several, or take it back."""
    if not keys:
        return {}
    rows = BalanceTransaction.objects.of(actor).filter(
        processor=processor, source_reference__in=[reference for _, reference in keys]
    )
    totals = rows.order_by().values("source_kind", "source_reference").annotate(total=Sum("amount"))
    return {(each["source_kind"], each["source_reference"]): int(each["total"]) for each in totals}


def _plan(row: BalanceTransaction, known: Explanation | None, total: int | None, at: datetime) -> Plan | None:
    """Say what a movement comes to; None while that must wait."""
    if row.type in PAID_OUT:
        return Plan(explanation=known, is_explained=known is not None)
    if not row.source_kind:
        return Plan(adjustment_amount=row.amount)
    if known is None:
        if at - row.occurred_at < UNKNOWN_AFTER:
            return None
        # What came back whole, such as a refund that failed before anybody here heard of it, leaves nothing to explain.
        return Plan(adjustment_amount=row.amount, is_explained=total == 0)
    is_same = known.currency == row.currency
    if row.amount in known.booked or (is_same and total == sum(known.booked)):
        ours = row.amount
    else:
        ours = next((amount for amount in known.booked if (amount < 0) == (row.amount < 0)), None)
    if ours is None:
        if at - row.occurred_at < OVERDUE_AFTER:
            return None
        return Plan(explanation=known if is_same else None, adjustment_amount=row.amount, is_explained=False)
    if is_same:
        return Plan(explanation=known, adjustment_amount=row.amount - ours, is_explained=row.amount == ours)
    return Plan(explanation=known, adjustment_amount=row.amount, exchanged_amount=ours)


def _is_as_booked(row: BalanceTransaction, plan: Plan) -> bool:
    """Tell whether a plan says nothing that has not been booked."""
    related = plan.explanation.id if plan.explanation else ""
    return row.booked_at is not None and (row.related_id, row.adjustment_amount, row.is_explained) == (
        related,
        plan.adjustment_amount,
        plan.is_explained,
    )


def _book(order_id: str | None, plans: dict[str, Plan], actor: Actor, at: datetime) -> None:
    with transaction.atomic():
        order = Order.objects.behind(actor).lock(id=order_id) if order_id else None
        rows = BalanceTransaction.objects.of(actor).select_for_update(of=("self",)).filter(id__in=plans)
        changed = []
        for row in rows.order_by("reference"):
            # Somebody else may have booked it while this waited for the lock.
            if not row.is_explained and not _is_as_booked(row, plans[row.id]):
                _post(row, plans[row.id], order, actor, at)
                changed.append(row)
        BalanceTransaction.objects.bulk_update(
            changed,
            ["related_type", "related_id", "order", "payment_intent", "adjustment_amount", "is_explained", "booked_at"]
            + ["looked_at", "updated_at"],
        )
        if order and changed:
            # Neither its revision nor its time of change: a fee is the merchant's affair with the processor, and an
            # edit that somebody prepared must not be refused because one was charged in the meantime.
            order.save(update_fields=["event_count", "entry_count"])


def _post(row: BalanceTransaction, plan: Plan, order: Order | None, actor: Actor, at: datetime) -> None:
    """Post the difference between what has been booked of a locked movement and what it comes to now."""
    is_first = row.booked_at is None
    known = plan.explanation
    apart = _apart(row, plan, is_first)
    if apart:
        event = events.record_apart(
            row.environment_id, "balance_transaction.updated", subject=row, actor=actor, currency=row.currency
        )
        # The first time a movement is its own source. What is posted later has the event that tells of it.
        source = row.id if is_first else event.id
        ledger.post_apart(
            event, [ledger.Posting(kind, amount, source) for kind, amount in apart], currency=row.currency
        )
    if order:
        _post_on_order(row, plan, order, actor)
    if known:
        row.related_type, row.related_id = known.type, known.id
        row.order_id, row.payment_intent_id = known.order_id, known.payment_intent_id
        if row.type == "payout_reversal":
            _reverse_payout(known.id, actor)
    row.adjustment_amount, row.is_explained = plan.adjustment_amount, plan.is_explained
    row.booked_at = row.booked_at or at
    row.looked_at, row.updated_at = at, timezone.now()


def _apart(row: BalanceTransaction, plan: Plan, is_first: bool) -> list[tuple[str, int]]:
    """Return what is to be posted without an order, as kinds and amounts."""
    found = [("adjustment", plan.adjustment_amount - row.adjustment_amount)]
    if is_first and row.type in PAID_OUT:
        found.append(("payout", -row.amount) if row.amount < 0 else ("payout_returned", row.amount))
    is_the_orders = plan.fee_is_the_orders(row)
    if is_first and not is_the_orders:
        found.append(("fee", row.fee_amount))
    elif is_the_orders and not is_first and not row.order_id:
        found.append(("fee", -row.fee_amount))
    return [(kind, amount) for kind, amount in found if amount]


def _post_on_order(row: BalanceTransaction, plan: Plan, order: Order, actor: Actor) -> None:
    """Post what belongs to a locked order, as a quiet event of its history, and show it on the payment."""
    is_news = not row.order_id
    fee = row.fee_amount if plan.fee_is_the_orders(row) and is_news else 0
    exchanged = plan.exchanged_amount if is_news else 0
    if fee or exchanged:
        event = _tell(row, order, fee, exchanged, actor)
        source = row.id if row.booked_at is None and not exchanged else event.id
        ledger.post(
            order, event, [ledger.Posting("fee", fee, source), ledger.Posting("adjustment", -exchanged, source)]
        )
    if row.type == "payment" and is_news and plan.explanation.payment_intent_id:
        _show_fee(row, plan.explanation.payment_intent_id)


def _show_fee(row: BalanceTransaction, payment_intent_id: str) -> None:
    """Count a movement on the payment behind it, under its order's lock; in one currency, the first that was told."""
    PaymentIntent.objects.filter(id=payment_intent_id, fee_currency__in=["", row.currency]).update(
        fee_currency=row.currency,
        processing_fee_amount=Coalesce("processing_fee_amount", 0) + row.fee_amount,
        merchant_net_amount=Coalesce("merchant_net_amount", 0) + row.net_amount,
        updated_at=timezone.now(),
    )


def _tell(row: BalanceTransaction, order: Order, fee: int, exchanged: int, actor: Actor) -> Event:
    if not exchanged:
        return events.record(order, "payment.fee_charged", subject=row, actor=actor, amount=fee, movement_type=row.type)
    return events.record(
        order,
        "payment.exchanged",
        subject=row,
        actor=actor,
        amount=exchanged,
        movement_type=row.type,
        settled_currency=row.currency,
        settled_minor_units=row.amount,
        fee_minor_units=row.fee_amount,
    )


def _reverse_payout(payout_id: str, actor: Actor) -> None:
    payout = Payout.objects.of(actor).lock(id=payout_id)
    if payout.reversal_status != "reversed":
        payout.reverse()
        payout.save(update_fields=["reversal_status", "updated_at"])
        events.record_apart(payout.environment_id, "payout.reversed", subject=payout, actor=actor)
