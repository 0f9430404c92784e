"""The readable history of an order: what each kind of event is called in the contract, and how it is told."""

from collections.abc import Callable
from typing import Any

from flint.api.fields import EnumField, IdField, SignedMoneyField, StrictString, TimestampField
from flint.api.serializers import Output
from flint.events.models import Event
from flint.money import Money
from orders.api.serializers.fields import Derived

ACTIVITY_TYPES = [
    "created",
    "line_item_added",
    "line_item_updated",
    "line_item_removed",
    "discount_applied",
    "discount_removed",
    "tax_updated",
    "requested_tip_added",
    "requested_tip_updated",
    "requested_tip_removed",
    "charge_added",
    "charge_updated",
    "charge_removed",
    "order_updated",
    "adjustment",
    "closed",
    "payment",
    "payment_failed",
    "refund",
    "refund_failed",
    "checkout_session_created",
    "checkout_session_expired",
    "checkout_session_invalidated",
]

# event: (activity type, text). A text may name what the event carries; ``{amount}`` is written as money. Events without
# an activity type only inform. What is not here is told by its own words.
TELLING: dict[str, tuple[str | None, str]] = {
    "order.created": ("created", "Order created"),
    "order.updated": ("order_updated", "Order updated"),
    "order.note_added": ("order_updated", "Staff note"),
    "order.tax_updated": ("tax_updated", "Taxes updated"),
    "order.requested_tip_added": ("requested_tip_added", "Tip requested"),
    "order.requested_tip_updated": ("requested_tip_updated", "Requested tip changed"),
    "order.requested_tip_removed": ("requested_tip_removed", "Requested tip removed"),
    "order.line_item_added": ("line_item_added", "Line item added: {quantity} × {name}"),
    "order.line_item_updated": ("line_item_updated", "Line item updated"),
    "order.line_item_removed": ("line_item_removed", "Line item removed: {quantity} × {name}"),
    "order.charge_added": ("charge_added", "Charge added: {name}"),
    "order.charge_updated": ("charge_updated", "Charge updated"),
    "order.charge_removed": ("charge_removed", "Charge removed: {name}"),
    "order.discount_applied": ("discount_applied", "Discount applied: {name}, {applied_amount} off"),
    "order.discount_removed": ("discount_removed", "Discount removed: {name}"),
    "order.closed": ("closed", "Order closed"),
    "payment_intent.created": (None, "Payment of {amount} prepared"),
    "payment_intent.updated": (None, "Payment changed"),
    "payment.started": (None, "Payment of {amount} started"),
    "payment.requires_action": (None, "Payment of {amount} waits for the buyer"),
    "payment.processing": (None, "Payment of {amount} under way at the bank"),
    "payment.authorized": (None, "{amount} authorized"),
    "payment.authorization_expired": (None, "Authorization of {amount} expired"),
    "payment.authorization_canceled": (None, "Authorization of {amount} canceled"),
    "payment.canceled": (None, "Payment of {amount} canceled"),
    "payment.settled": ("payment", "Payment of {amount} received"),
    "payment.fee_charged": (None, "Processor fee of {amount}"),
    "payment.exchanged": (None, "{amount} settled in {settled_currency}"),
    "payment.failed": ("payment_failed", "Payment of {amount} failed"),
    "refund.created": (None, "Refund of {amount} requested"),
    "refund.succeeded": ("refund", "Refund of {amount} paid out"),
    "refund.failed": ("refund_failed", "Refund of {amount} failed"),
    "refund.explained": (None, "Refund of {amount} explained"),
    "refund.updated": (None, "Refund changed"),
    "refund.handled": (None, "Failed refund dealt with"),
    "refund.canceled": (None, "Refund of {amount} canceled"),
    "dispute.created": (None, "Payment disputed"),
    "dispute.updated": (None, "Dispute updated"),
    "dispute.needs_response": (None, "Dispute waits for an answer"),
    "dispute.funds_withdrawn": ("adjustment", "{amount} withdrawn for a dispute"),
    "dispute.funds_reinstated": ("adjustment", "{amount} of a dispute given back"),
    "dispute.rebooked": ("adjustment", "{amount} of a dispute booked on the order"),
    "dispute.won": (None, "Dispute won"),
    "dispute.lost": (None, "Dispute lost"),
    "dispute.prevented": (None, "Dispute prevented"),
    "dispute.warning_closed": (None, "Inquiry closed"),
    "dispute.closed": (None, "Dispute closed"),
    "dispute.written_off": ("adjustment", "{amount} written off after a dispute"),
    "dispute.loss_noted": (None, "Loss of {amount} in a dispute noted"),
    "dispute.collected_again": (None, "{amount} to be collected again after a dispute"),
    "order.message_requested": (None, "Message asked for: {kind}"),
    "order.message_sent": (None, "Message sent: {kind}"),
    "order.message_failed": (None, "Message could not be sent: {kind}"),
    "checkout_session.created": ("checkout_session_created", "Checkout opened"),
    "checkout_session.customer_verified": (None, "Buyer confirmed an email address"),
    "checkout_session.completed": (None, "Checkout completed"),
    "checkout_session.closed": (None, "Checkout closed"),
    "checkout_session.expired": ("checkout_session_expired", "Checkout expired"),
    "checkout_session.invalidated": ("checkout_session_invalidated", "Checkout no longer valid"),
    "payment_link.resolved": (None, "Ordered through a payment link"),
    "pay_link.created": (None, "Link to pay made"),
}

WITHOUT_DELTA = frozenset({"payment_failed", "refund_failed", "checkout_session_expired"})
"""The contract lets these carry no delta, even where one moved the balance; the running balance tells the truth."""

REFERENCES = {
    "paymentintent": ("payment_intent_id", "pi"),
    "refund": ("refund_id", "ref"),
    "checkoutsession": ("checkout_session_id", "cs"),
    "lineitem": ("order_line_item_id", "oli"),
    "charge": ("order_charge_id", "och"),
    "discount": ("order_discount_id", "odi"),
}


def activity_type_of(event: Event) -> str | None:
    """Return what the contract calls the event; None if it only informs."""
    return TELLING[event.type][0] if event.type in TELLING else None


def event_types_of(activity_types: list[str]) -> list[str]:
    """Return the events that are told as one of these activities."""
    return [name for name, (activity_type, _) in TELLING.items() if activity_type in activity_types]


def describe(event: Event) -> str:
    """Tell an event to a person, in our own words; never in a processor's."""
    if event.type not in TELLING:
        return event.type.replace(".", " ").replace("_", " ").capitalize()
    return TELLING[event.type][1].format_map(_Particulars(event))


class _Particulars(dict):
    """What an event carries, amounts as money for people. An older event may lack what a text names now."""

    def __init__(self, event: Event):
        super().__init__(event.data)
        self.currency = event.currency

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            return "–"
        return Money(value, self.currency).text() if name.endswith("amount") else str(value)


def _delta_of(event: Event) -> Money:
    told = 0 if activity_type_of(event) in WITHOUT_DELTA else event.balance_delta_amount
    return Money(told, event.currency)


def _reference(subject_type: str) -> Callable[[Event], Any]:
    def reference_of(event: Event) -> str | None:
        return event.subject_id if event.subject_type == subject_type else None

    return reference_of


class OrderActivityOutput(Output):
    """One line of an order's history. A log, not a ledger: deltas are not for summing up."""

    order_activity_id = Derived(lambda event: event.id.replace("evt_", "oac_"), IdField("oac"))
    activity_type = Derived(activity_type_of, EnumField(ACTIVITY_TYPES), required=False)
    description = Derived(describe, StrictString())
    balance_delta_money = Derived(_delta_of, SignedMoneyField())
    running_balance_money = Derived(lambda event: Money(event.balance_amount, event.currency), SignedMoneyField())
    created_at = TimestampField(required=False)

    def get_fields(self):
        references = {
            name: Derived(_reference(subject), IdField(prefix), required=False)
            for subject, (name, prefix) in REFERENCES.items()
        }
        return super().get_fields() | references | {"order_tip_id": Derived(_tip_of, IdField("oti"), required=False)}


def _tip_of(event: Event) -> str | None:
    return event.data.get("order_tip_id") if event.type.startswith("order.requested_tip_") else None
