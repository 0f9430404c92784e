"""The message about a refund: how much comes back, for what, and when it arrives."""

from django.db.models import Prefetch

from flint.languages import Language
from flint.messages.kinds import Letter, Row, Unneeded, says
from flint.messages.models import Message
from flint.messages.muting import is_muted
from flint.messages.outbox import queue
from flint.money import Money
from orders.contacts import address_on_file
from orders.models import Order
from payments.messages.receipts import paid_with
from payments.messages.writing import questions
from refunds.models import R, Refund, RefundAllocation, RefundLeg, RefundOrigin

TOLD = (R.SUCCEEDED, R.PARTIALLY_SUCCEEDED)
"""What a refund has come to when its customer is told."""


def queue_refund(order: Order, refund: Refund) -> None:
    """
    Tell the customer of a locked order that money is on its way back to them, once the processor has given it.

    One that was found at the processor is not told of: nobody here knows yet what it was for.
    """
    if refund.status not in TOLD or refund.origin == RefundOrigin.PROCESSOR:
        return
    recipient = address_on_file(order)
    if recipient and not is_muted(order.environment_id, "refund"):
        queue(order, "refund", source_id=refund.id, recipient=recipient)


@says("refund", label="Refund", setting="refunds")
def refund(message: Message, language: Language) -> Letter:
    """Say how much comes back, for what, where to and when."""
    order, say = message.order, language.say
    allocations = RefundAllocation.objects.select_related("line_item", "charge", "tax_breakdown").order_by("position")
    legs = RefundLeg.objects.filter(refund_id=message.source_id, status=R.SUCCEEDED).select_related("payment_intent")
    legs = legs.prefetch_related(Prefetch("allocations", queryset=allocations, to_attr="shown"))
    done = list(legs.order_by("position"))
    if not done:
        raise Unneeded("refund_failed")
    came_back = order.money(sum(leg.amount for leg in done))
    amount, merchant = language.money(came_back), order.environment.merchant

    def share(leg: RefundLeg) -> str:
        return language.money(leg.money) if len(done) > 1 else ""

    back_to = [Row(say("Back to"), paid_with(leg.payment_intent, language), detail=share(leg)) for leg in done]
    return Letter(
        subject=say("Your refund from {merchant}: {amount}", merchant=merchant, amount=amount),
        heading=say("{amount} is on its way back to you", amount=amount),
        text=[
            say("Your bank usually shows a refund within 5 to 10 working days. You do not have to do anything."),
        ],
        lines=_parts(done, language),
        sums=[Row(say("Refunded"), amount, is_strong=True)],
        facts=[*back_to, Row(say("Order"), order.order_number)],
        closing=[questions(message, language)],
    )


def _parts(legs: list[RefundLeg], language: Language) -> list[Row]:
    """Return what the refund is for: each part once, over all payments that it goes back to."""
    amounts: dict[str, list] = {}
    for leg in legs:
        for row in [] if leg.is_correction else leg.shown:
            part = row.line_item or row.charge or row.tax_breakdown
            name = str(part).strip() if part else language.say("Tip")
            entry = amounts.setdefault(part.id if part else "tip", [name, 0, 0, leg.currency])
            entry[1] += row.quantity
            entry[2] += row.amount
    return [
        Row(name, language.money(Money(amount, currency)), detail=f"× {units}" if units > 1 else "")
        for name, units, amount, currency in amounts.values()
    ]
