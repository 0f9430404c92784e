"""The history of an invoice: which of its order's events it is told by, and as what."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from flint.api.fields import EnumField, IdField, MoneyField, StrictString, TimestampField
from flint.api.serializers import Output
from flint.events.models import Event
from flint.money import Money
from invoices.models import InvoiceDelivery
from orders.api.activities import describe
from orders.api.serializers.fields import Derived

# activity type: (event types, what else is asked of them). An event is told as one activity at most.
TOLD_AS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "draft_created": (("invoice.created",), {}),
    "issued": (("invoice.issued",), {}),
    "sent": (("invoice.sent",), {}),
    "viewed": (("invoice.viewed",), {}),
    "voided": (("invoice.voided",), {}),
    "token_regenerated": (("invoice.link_regenerated",), {}),
    "updated": (("invoice.updated",), {}),
    "delivery_sent": (("invoice.delivery_succeeded",), {"data__delivery_type": "send"}),
    "reminder_sent": (("invoice.delivery_succeeded",), {"data__delivery_type": "reminder"}),
    "issue_failed": (("invoice.issue_failed",), {}),
    "payment_attempt_started": (("invoice.payment_attempt_started",), {}),
    "payment_processing": (("invoice.payment_processing",), {}),
    # The same words tell of money by hand, which has activities of its own.
    "payment_applied": (("invoice.paid", "invoice.partially_paid"), {"data__because": "payment.settled"}),
    "manual_payment_recorded": (("invoice.manual_payment_recorded",), {}),
    "manual_payment_reversed": (("invoice.manual_payment_reversed",), {}),
    "refund_succeeded": (("invoice.refunded", "invoice.partially_refunded"), {"data__because": "refund.succeeded"}),
    "credited": (("invoice.credited",), {}),
    "marked_uncollectible": (("invoice.marked_uncollectible",), {}),
    "overdue": (("invoice.overdue",), {}),
    "reminder_due": (("invoice.reminder_due",), {}),
    "late_fee_due": (("invoice.late_fee_due",), {}),
    "late_fee_assessed": (("invoice.late_fee_assessed",), {}),
    "late_fee_waived": (("invoice.late_fee_waived",), {}),
}
ACTIVITY_TYPES = [*TOLD_AS, "collection_blocked", "collection_block_resolved"]

WHO = {"key": "merchant", "staff": "merchant", "customer": "buyer"}

BECAUSE = {
    "payment.settled": ("payment_intent_id", "pi"),
    "refund.succeeded": ("refund_id", "ref"),
    "credit_note.allocation_created": ("credit_note_id", "cn"),
    "credit_note.allocation_reversed": ("credit_note_id", "cn"),
}
"""What an invoice followed, and what that was about."""

IDS = {
    "invoice_delivery_attempt_id": "ida",
    "invoice_payment_attempt_id": "opa",
    "checkout_session_id": "cs",
    "invoice_schedule_entry_id": "ise",
    "invoice_late_fee_id": "ilf",
}
TEXTS = ("error_code", "payment_rail")
AMOUNTS = {
    "amount_money": "amount",
    "expected_amount_money": "amount",
    "credit_money": "amount",
    "written_off_money": "written_off_amount",
}
AMOUNT_OF = {
    "payment_applied": "amount_money",
    "manual_payment_recorded": "amount_money",
    "manual_payment_reversed": "amount_money",
    "refund_succeeded": "amount_money",
    "updated": "amount_money",
    "late_fee_assessed": "amount_money",
    "late_fee_waived": "amount_money",
    "payment_processing": "expected_amount_money",
    "credited": "credit_money",
    "marked_uncollectible": "written_off_money",
}
"""Under which name an activity tells its amount; the others tell none."""


def told_as(activity_types: Iterable[str]) -> Q:
    """Return which events are told as one of these activities."""
    wanted = Q(pk__in=[])
    for name in activity_types:
        if name in TOLD_AS:
            types, rest = TOLD_AS[name]
            wanted |= Q(type__in=types, **rest)
    return wanted


def activity_type_of(event: Event) -> str:
    """Return what an invoice's event is called in its history."""
    for name, (types, rest) in TOLD_AS.items():
        if event.type in types and all(event.data.get(key.removeprefix("data__")) == rest[key] for key in rest):
            return name
    raise LookupError(f"{event.type} is no activity of an invoice")


def _datum(name: str):
    def datum_of(event: Event) -> Any:
        return event.data.get(name) or None

    return datum_of


def _because(name: str):
    def cause_of(event: Event) -> str | None:
        found = BECAUSE.get(event.data.get("because", ""))
        return event.data.get("because_id") if found and found[0] == name else None

    return cause_of


def _amount(name: str):
    def money_of(event: Event) -> Money | None:
        amount = event.data.get(AMOUNTS[name])
        if amount is None or AMOUNT_OF.get(activity_type_of(event)) != name:
            return None
        return Money(abs(amount), event.currency)

    return money_of


def attach_addresses(events: Sequence[Event]) -> None:
    """Let events that tell of an email know to whom it went: that is kept with the delivery, not with the event."""
    ids = {found for event in events if (found := event.data.get("invoice_delivery_attempt_id"))}
    if not ids:
        return
    addresses = dict(InvoiceDelivery.objects.filter(id__in=ids).values_list("id", "to_email"))
    for event in events:
        event.to_email = addresses.get(event.data.get("invoice_delivery_attempt_id")) or None


class InvoiceActivityOutput(Output):
    """One line of an invoice's history."""

    invoice_activity_id = Derived(lambda event: event.id.replace("evt_", "inevt_"), IdField("inevt"))
    activity_type = Derived(activity_type_of, EnumField(ACTIVITY_TYPES))
    description = Derived(describe, StrictString())
    actor_type = Derived(
        lambda event: WHO.get(event.actor_kind, "system"), EnumField(["merchant", "buyer", "system"]), required=False
    )
    actor_id = Derived(lambda event: event.actor_id or None, StrictString(), required=False)
    channel = Derived(
        lambda event: "email" if event.type == "invoice.delivery_succeeded" else None,
        EnumField(["email"]),
        required=False,
    )
    to_email = Derived(lambda event: getattr(event, "to_email", None), StrictString(), required=False)
    due_at = Derived(_datum("due_at"), StrictString(), required=False)
    created_at = TimestampField()

    def get_fields(self):
        fields = {name: Derived(_datum(name), StrictString(), required=False) for name in TEXTS}
        fields |= {name: Derived(_datum(name), IdField(prefix), required=False) for name, prefix in IDS.items()}
        for name, prefix in dict(BECAUSE.values()).items():
            fields[name] = Derived(_because(name), IdField(prefix), required=False)
        fields |= {name: Derived(_amount(name), MoneyField(), required=False) for name in AMOUNTS}
        return super().get_fields() | fields
