"""What the tests of orders have in common: small requests, and proof that a refusal moved nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flint.api.models import IdempotencyRecord
from flint.events.models import Event
from orders.models import Charge, Customer, Discount, LedgerEntry, LineItem, Order, TaxBreakdown

TABLES = [Order, LineItem, Charge, Discount, TaxBreakdown, LedgerEntry, Event, Customer, IdempotencyRecord]

CITY = {"code": "ny-nyc", "country": "US", "level": "city", "name": "New York City", "state": "NY"}


def money(amount: int, currency: str = "EUR") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def line(amount: int = 1_000, *, name: str = "Cup", **members: Any) -> dict[str, Any]:
    """Describe a line item."""
    return {"name": name, "unit_price_money": money(amount), **members}


def fee(amount: int = 500, **members: Any) -> dict[str, Any]:
    """Describe a fixed charge."""
    return {"name": "Delivery", "type": "delivery_fee", "amount_money": money(amount), **members}


def percentage(percent: Any, **members: Any) -> dict[str, Any]:
    """Describe a charge in percent."""
    charge = {"name": "Service", "type": "service_fee", "percent": percent}
    return {**charge, "calculation_basis": "subtotal_post_discount", **members}


def taxed(*percents: Any, price_mode: str = "additive", **members: Any) -> dict[str, Any]:
    """Describe the tax of a line or charge."""
    components = [{"jurisdiction": CITY, "percent": percent, "tax_type": "sales_tax"} for percent in percents]
    return {"calculation": {"mode": "external", "price_mode": price_mode, "components": components}, **members}


def flat_tax(amount: int, **members: Any) -> dict[str, Any]:
    """Describe a flat tax on the order."""
    component = {"flat_money": money(amount), "jurisdiction": CITY, **members}
    return {"calculation": {"mode": "external", "price_mode": "additive", "components": [component]}}


def create(api, *lines: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Create an order over the API and return what it shows; one cup for 10.00 if nothing else is said."""
    response = api.post("/v1/orders", {"line_items": list(lines) or [line()], **body})
    assert response.status_code == 201, response.error
    return response.data


def add_charge(api, order: dict[str, Any], **charge: Any) -> dict[str, Any]:
    """Add a charge over the API and return the order."""
    response = api.post(f"/v1/orders/{order['order_id']}/charges", {"charge": charge or fee()})
    assert response.status_code == 200, response.error
    return response.data


def pricing(order: dict[str, Any]) -> dict[str, int]:
    """Return the six pricing amounts of a shown order."""
    return {name.removesuffix("_money"): value["amount"] for name, value in order["pricing_amounts"].items()}


def settlement(order: dict[str, Any]) -> dict[str, int]:
    """Return the seven settlement amounts of a shown order."""
    return {name.removesuffix("_money"): value["amount"] for name, value in order["settlement_amounts"].items()}


def activities(api, order: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """Return an order's history over the API, oldest first."""
    path = f"/v1/orders/{order['order_id']}/activities"
    return api.get(path, {"sort_direction": "asc", "page_size": 100, **query}).data


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table that an order touches."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in TABLES}


@contextmanager
def nothing_moves() -> Iterator[None]:
    """Fail if the block leaves any trace in any table of orders."""
    before = everything()
    yield
    assert everything() == before


def refused(response: Any, code: str, status: int = 400, param: str | None = None) -> None:
    """Check that a call was refused with one code, for one field."""
    assert (response.status_code, response.code) == (status, code), response.error
    if param is not None:
        assert response.error.get("param") == param
