"""What happens to invoices, in plain words, for the history of their orders."""

from flint.admin import words
from flint.events.models import Event
from orders.admin.registry import event_words
from orders.admin.words import money_of

CAUSES = {
    "payment.settled": "by a payment",
    "invoice.manual_payment_recorded": "by money recorded by hand",
    "credit_note.allocation_created": "by a credit note",
}


def _issued(event: Event) -> str:
    return f"Invoice {event.data.get('number', '')} issued over {money_of(event, 'total_amount')}"


def _paid(event: Event) -> str:
    return f"Invoice paid {CAUSES.get(event.data.get('because', ''), '')}".rstrip()


def _partly(event: Event) -> str:
    return f"Invoice partly paid, {money_of(event, 'outstanding_amount')} left"


def _changed(event: Event) -> str:
    changed = event.data.get("changed", [])
    if changed == ["reminders_paused"]:
        return "Reminders paused" if event.data.get("reminders_paused") else "Reminders go on"
    if changed:
        return f"Invoice draft changed: {', '.join(words(name).lower() for name in changed)}"
    return f"Invoice now asks for {money_of(event, 'outstanding_amount')}"


def _kind(event: Event) -> str:
    return "reminder" if event.data.get("delivery_type") == "reminder" else "invoice"


def _terms(what: str):
    return lambda event: f"Payment term {what}: {event.data.get('name', '')}"


event_words.update(
    {
        "invoice.created": lambda event: "Invoice drafted",
        "invoice.updated": _changed,
        "invoice.issued": _issued,
        "invoice.issue_failed": lambda event: (
            f"Invoice could not be issued by itself: {words(event.data.get('error_code', '')).lower()}"
        ),
        "invoice.sent": lambda event: "Invoice on its way by email",
        "invoice.send_requested": lambda event: "Invoice is to be sent again",
        "invoice.delivery_succeeded": lambda event: f"Email sent: {_kind(event)}",
        "invoice.delivery_failed": lambda event: (
            f"Email could not be sent: {_kind(event)}, {words(event.data.get('reason', '')).lower()}"
        ),
        "invoice.viewed": lambda event: "Buyer looked at the invoice",
        "invoice.voided": lambda event: f"Invoice {event.data.get('number', 'draft')} voided",
        "invoice.link_regenerated": lambda event: "Invoice given a new link; the old one opens nothing",
        "invoice.paid": _paid,
        "invoice.partially_paid": _partly,
        "invoice.payment_attempt_started": lambda event: "Payment of the invoice started",
        "invoice.payment_processing": lambda event: "Payment of the invoice under way at the bank",
        "invoice.payment_failed": lambda event: "Payment of the invoice failed",
        "invoice.payment_attempt_canceled": lambda event: "Payment of the invoice canceled",
        "invoice.payment_attempt_expired": lambda event: "Payment of the invoice expired",
        "invoice.autopay_refused": lambda event: "Invoice could not be collected by itself",
        "invoice.manual_payment_recorded": lambda event: "Payment recorded by hand on the invoice",
        "invoice.manual_payment_reversed": lambda event: "Payment recorded by hand on the invoice taken back",
        "invoice.refunded": lambda event: "What was paid of the invoice went back",
        "invoice.partially_refunded": lambda event: "A part of what was paid of the invoice went back",
        "invoice.credited": lambda event: "Invoice settled by a credit note",
        "invoice.marked_uncollectible": lambda event: "Rest of the invoice written off",
        "invoice.overdue": lambda event: "Invoice is overdue",
        "invoice.reminder_due": lambda event: "A reminder is due",
        "invoice.reminder_requested": lambda event: "A reminder is to be sent",
        "invoice.late_fee_due": lambda event: "A late fee may be charged",
        "invoice.late_fee_assessed": lambda event: "Late fee charged",
        "invoice.late_fee_waived": lambda event: "Late fee waived",
        "order.manual_payment_recorded": lambda event: "Payment recorded by hand",
        "order.manual_payment_reversed": lambda event: "Payment recorded by hand taken back",
        "invoice_payment_term.created": _terms("made"),
        "invoice_payment_term.updated": _terms("changed"),
        "invoice_payment_term.archived": _terms("archived"),
    }
)
