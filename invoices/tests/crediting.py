"""What the tests of credit notes have in common: notes drafted, issued and used over the API."""

from typing import Any

from flint.money import Money
from flint.testing import stories
from flint.testing.stories import eur, wire
from invoices.models import CreditNote, Invoice
from orders.models import Order


def line_ids(invoice: dict[str, Any]) -> list[str]:
    """Return the ids of the lines of an issued invoice."""
    return [line["invoice_line_item_id"] for line in invoice["snapshot"]["line_items"]]


def units(line_id: str, quantity: int) -> dict[str, Any]:
    """Ask for units of a line."""
    return {"invoice_line_item_id": line_id, "correction": {"type": "quantity", "quantity": quantity}}


def amount(line_id: str, minor: int, currency: str = "EUR") -> dict[str, Any]:
    """Ask for an amount of a line."""
    correction = {"type": "amount", "amount_money": wire(Money(minor, currency))}
    return {"invoice_line_item_id": line_id, "correction": correction}


def drafted(api, invoice: dict[str, Any], *lines: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Prepare a credit note; of 40.00 of the invoice's first line, unless lines are given."""
    wanted = list(lines) or [amount(line_ids(invoice)[0], 4_000)]
    body = {"invoice_id": invoice["invoice_id"], "reason": "returned_goods", "credit_note_lines": wanted, **body}
    response = api.post("/v1/credit-notes", body)
    assert response.status_code == 201, response.error
    return response.data


def note_act(api, note: dict[str, Any], verb: str, body: Any = None, **options: Any) -> Any:
    """Post to a route under a credit note."""
    return api.post(f"/v1/credit-notes/{note['credit_note_id']}/{verb}", body, **options)


def credited(api, invoice: dict[str, Any], *lines: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Prepare a credit note and issue it."""
    response = note_act(api, drafted(api, invoice, *lines, **body), "issue")
    assert response.status_code == 200, response.error
    return response.data


def allocate(api, note: dict[str, Any], minor: int, *, key: str = "first", **body: Any) -> Any:
    """Apply credit of a note to its invoice."""
    return note_act(api, note, "allocations", {"amount_money": wire(eur(minor)), **body}, key=key)


def give_back(api, note: dict[str, Any], *, key: str = "back", **body: Any) -> Any:
    """Refund by a note, and run what that sets off."""
    with stories.settled():
        return note_act(api, note, "refunds", {"reason": "requested_by_customer", **body}, key=key)


def read_note(api, note: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"/v1/credit-notes/{note['credit_note_id']}").data


def read_invoice(api, invoice: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"/v1/invoices/{invoice['invoice_id']}").data


def pay_invoice(invoice: dict[str, Any]) -> None:
    """Pay all that an invoice asks for with a card."""
    order = Order.objects.get(id=invoice["order_id"])
    paid = stories.pay(order, invoice_id=invoice["invoice_id"])
    assert paid.attempt.status == "succeeded"


def sum_of_documents(order_id: str) -> int:
    """Return what the documents of an order say that it is worth: invoices that stand, less credit notes that do."""
    invoices = Invoice.objects.filter(order_id=order_id, issued_at__isnull=False).exclude(status="void")
    notes = CreditNote.objects.filter(order_id=order_id, status="issued")
    return sum(row.total_amount for row in invoices) - sum(row.total_amount for row in notes)
