"""What the tests of invoices have in common: drafts and issued invoices made over the API."""

from typing import Any

from flint.testing.stories import eur, wire
from orders.tests.sales import create, line


def draft(api, order: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    """Prepare an invoice over the API, for an order or for a new one of 100.00."""
    order = order or create(api, line(10_000))
    response = api.post("/v1/invoices", {"order_id": order["order_id"], **body})
    assert response.status_code == 201, response.error
    return response.data


def issue(api, invoice: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Issue an invoice over the API."""
    response = act(api, invoice, "issue", {"delivery_mode": "caller_managed", **body})
    assert response.status_code == 200, response.error
    return response.data["invoice"]


def issued(api, order: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    """Prepare an invoice and issue it."""
    return issue(api, draft(api, order, **body))


def act(api, invoice: dict[str, Any], verb: str, body: Any = None, **options: Any) -> Any:
    """Post to a route under an invoice."""
    return api.post(f"/v1/invoices/{invoice['invoice_id']}/{verb}", body, **options)


def by_hand(api, invoice: dict[str, Any], amount: int, **body: Any) -> dict[str, Any]:
    """Record a manual payment."""
    response = act(api, invoice, "manual-payments", {"amount_money": wire(eur(amount)), **body})
    assert response.status_code == 200, response.error
    return response.data


def amounts(invoice: dict[str, Any]) -> dict[str, int]:
    """Return the amounts of a shown invoice."""
    names = ("outstanding", "currently_due", "paid", "credit", "refunded", "written_off")
    return {name: invoice[f"{name}_money"]["amount"] for name in names if f"{name}_money" in invoice}
