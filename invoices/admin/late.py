"""What staff can do about an invoice that is late: see what a fee would come to, and stop its reminders for a while."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.merchants.staff import Right
from flint.money import Money
from invoices.admin.registry import InvoiceAction, Preview
from invoices.models import Invoice
from invoices.reading import standing_of
from invoices.services import fees
from invoices.services.drafting import update_invoice


def before_late_fee(invoice: Invoice) -> Preview:
    """Say what the next late fee is for, and what it comes to."""
    standing = standing_of(invoice)
    outstanding = standing.amounts.outstanding
    facts: list[tuple[str, Any]] = [("Outstanding", invoice.money(outstanding))]
    if found := fees.assessable(invoice, standing.asked, at=standing.at):
        fee = found[0]
        facts = [
            ("Late", f"{invoice.money(fee.due.outstanding)}, {fee.due.entry or 'the whole invoice'}"),
            ("Late fee", invoice.money(fee.amount)),
            ("Outstanding now", invoice.money(outstanding)),
            ("Outstanding then", invoice.money(outstanding + fee.amount)),
        ]
    return Preview(
        "The late fee that was agreed is charged beside the document, which stays as it is. The order owes it on top.",
        facts,
    )


def before_waiver(invoice: Invoice) -> Preview:
    """Say what is given up of the oldest late fee of which something is left."""
    standing = standing_of(invoice)
    outstanding = standing.amounts.outstanding
    unpaid = next((each for each in standing.asked.fees if each.filled.outstanding), None)
    given_up = unpaid.filled.outstanding if unpaid else 0
    facts: list[tuple[str, Money]] = [
        ("Late fee", invoice.money(unpaid.filled.total if unpaid else 0)),
        ("Paid of it", invoice.money(unpaid.paid if unpaid else 0)),
        ("Given up", invoice.money(given_up)),
        ("Outstanding then", invoice.money(outstanding - given_up)),
    ]
    return Preview(
        "What is not paid yet of the oldest late fee is given up. What was paid of it stays paid.",
        facts,
    )


def _may_be_paused(invoice: Invoice) -> bool:
    return invoice.is_asking and invoice.reminders_paused_at is None


def _may_be_resumed(invoice: Invoice) -> bool:
    return invoice.is_asking and invoice.reminders_paused_at is not None


def _pausing(paused: bool):
    def act(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
        wanted = {"reminders_paused": paused, "expected_version": data["expected_version"]}
        update_invoice(invoice_id=invoice.id, data=wanted, actor=actor)
        return "Reminders are paused." if paused else "Reminders go on, from the next one that comes up."

    return act


def _saying(text: str):
    return lambda invoice: Preview(text, [("Invoice", str(invoice))])


reminder_actions = [
    InvoiceAction(
        name="pause_reminders",
        label="Pause reminders",
        right=Right.SEND_MESSAGES,
        is_offered=_may_be_paused,
        preview=_saying(
            "The automatic reminders stop. It still becomes overdue, and late fees still come up. A reminder can be "
            "sent by hand."
        ),
        act=_pausing(True),
    ),
    InvoiceAction(
        name="resume_reminders",
        label="Resume reminders",
        right=Right.SEND_MESSAGES,
        is_offered=_may_be_resumed,
        preview=_saying("The automatic reminders go on. What came up while they were paused is not caught up on."),
        act=_pausing(False),
    ),
]
