import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.models import Invoice
from invoices.snapshots import CHANGES
from invoices.tests.asking import draft, issue
from orders.tests.sales import add_charge, create, fee, flat_tax, line, pricing, refused, taxed


def test_a_draft_is_issued_and_asks_for_what_its_order_owes(api):
    order = create(api, line(2_500, quantity=4))

    invoice = issue(api, draft(api, order))

    assert (invoice["status"], invoice["invoice_number"]) == ("open", "INV-000001")
    assert invoice["outstanding_money"] == wire(eur(10_000))
    assert invoice["snapshot"]["line_items"][0]["total_money"] == wire(eur(10_000))
    assert_books(order["order_id"], total=10_000, paid=0, outstanding=10_000, invoice_id=invoice["invoice_id"])


def test_what_was_paid_before_counts_on_the_invoice(api, environment):
    order = stories.paid_order(environment, total=4_000)
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line(6_000)]})

    invoice = issue(api, draft(api, {"order_id": order.id}))

    assert invoice["status"] == "partially_paid"
    assert (invoice["paid_money"], invoice["outstanding_money"]) == (wire(eur(4_000)), wire(eur(6_000)))


@pytest.mark.parametrize("price_mode", ["additive", "inclusive"])
def test_a_document_adds_up_whatever_is_sold(api, price_mode):
    """Lines, charges, the tip and a flat tax are all of the total; discounts and taxes are within them."""
    order = create(
        api,
        line(3_333, quantity=3, tax=taxed(19, price_mode=price_mode)),
        line(777, name="Spoon", tax=taxed(7, 1.25, price_mode=price_mode)),
        discounts=[{"manual": {"name": "Friends", "amount_money": wire(eur(1_001))}}],
        requested_tip={"percent": 10},
        tax=flat_tax(29),
    )
    add_charge(api, order, **fee(450, tax=taxed(19, price_mode=price_mode)))

    invoice = issue(api, draft(api, order))

    snapshot = invoice["snapshot"]
    priced = {name: money["amount"] for name, money in snapshot["pricing_amounts"].items()}
    parts = [*snapshot["line_items"], *snapshot["charges"]]
    billed = sum(part["total_money"]["amount"] for part in parts) + priced["requested_tip_money"] + 29
    assert billed == priced["total_money"] == invoice["outstanding_money"]["amount"]
    assert CHANGES not in {part["name"] for part in parts}
    assert snapshot["requested_tip"]["percent"] == 10
    assert snapshot["discounts"][0]["applied_money"] == wire(eur(1_001))
    of_order = pricing(api.get(f"/v1/orders/{order['order_id']}").data)
    assert priced == {f"{name}_money": amount for name, amount in of_order.items()}


def test_quick_pay_makes_its_own_order(api):
    body = {"quick_pay": {"line_items": [line(1_000)]}}

    made = api.post("/v1/invoices", body)
    assert made.status_code == 201, made.error
    invoice = issue(api, made.data)

    assert invoice["outstanding_money"] == wire(eur(1_000))
    assert api.get(f"/v1/orders/{invoice['order_id']}").data["settlement_amounts"]["outstanding_money"] == wire(
        eur(1_000)
    )


def test_an_order_has_one_invoice_at_a_time(api):
    order = create(api)
    first = draft(api, order)

    response = api.post("/v1/invoices", {"order_id": order["order_id"]})

    refused(response, "ORDER_ALREADY_HAS_ACTIVE_INVOICE", status=409)
    assert response.error["blocking_resources"][0]["resource_id"] == first["invoice_id"]
    assert Invoice.objects.count() == 1
