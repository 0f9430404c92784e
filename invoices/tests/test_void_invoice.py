"""Taking invoices back, and giving up on them."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.tests.asking import act, amounts, by_hand, draft, issue, issued
from orders.tests.sales import create, line, nothing_moves, refused


def test_a_void_invoice_frees_its_order_and_keeps_its_number(api):
    order = create(api, line(10_000))
    invoice = issued(api, order)
    path = f"/v1/orders/{order['order_id']}/line-items"
    refused(api.post(path, {"line_items": [line(500)]}), "INVOICE_LOCKED_ORDER_FINANCIALS", status=409)

    void = act(api, invoice, "void").data

    assert (void["status"], void["invoice_number"], amounts(void)["outstanding"]) == ("void", "INV-000001", 0)
    assert void["voided_at"]
    assert_books(order["order_id"], invoice_id="", is_under_invoice=False, outstanding=10_000)
    assert api.post(path, {"line_items": [line(500)]}).status_code == 200
    again = issued(api, order)
    assert (again["invoice_number"], amounts(again)["outstanding"]) == ("INV-000002", 10_500)


def test_a_void_draft_used_no_number(api):
    order = create(api, line(10_000))

    void = act(api, draft(api, order), "void").data

    assert (void["status"], "invoice_number" in void) == ("void", False)
    assert issued(api, order)["invoice_number"] == "INV-000001"


def test_an_invoice_of_a_partly_paid_order_is_void_while_nothing_came_in_since(api, environment):
    order = stories.paid_order(environment, total=4_000)
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line(6_000)]})
    invoice = issued(api, {"order_id": order.id})

    assert act(api, invoice, "void").data["status"] == "void"
    assert_books(order, paid=4_000, outstanding=6_000, is_under_invoice=False)


def test_money_received_keeps_an_invoice(api):
    invoice = issued(api)
    by_hand(api, invoice, 1)

    with nothing_moves():
        refused(act(api, invoice, "void"), "INVOICE_NOT_VOIDABLE", status=409)


@pytest.mark.parametrize("verb", ["void", "mark-uncollectible"])
def test_what_is_done_with_stays(api, verb):
    invoice = issued(api)
    act(api, invoice, "void")

    with nothing_moves():
        response = act(api, invoice, verb)

    code = "INVOICE_NOT_VOIDABLE" if verb == "void" else "INVOICE_NOT_MARKABLE_UNCOLLECTIBLE"
    refused(response, code, status=409)


def test_a_draft_cannot_be_given_up(api):
    refused(act(api, draft(api), "mark-uncollectible"), "INVOICE_NOT_MARKABLE_UNCOLLECTIBLE", status=409)


def test_giving_up_writes_the_rest_off(api):
    invoice = issued(api)
    by_hand(api, invoice, 4_000)

    given_up = act(api, invoice, "mark-uncollectible").data

    assert given_up["status"] == "uncollectible"
    assert amounts(given_up) == {
        "outstanding": 0,
        "currently_due": 0,
        "paid": 4_000,
        "credit": 0,
        "refunded": 0,
        "written_off": 6_000,
    }
    order = assert_books(
        invoice["order_id"], paid=4_000, credit=6_000, outstanding=0, is_under_invoice=False, payment_status="paid"
    )
    entry = order.entries.order_by("-sequence").first()
    assert (entry.kind, entry.amount, entry.source_id) == ("write_off", 6_000, invoice["invoice_id"])


def test_an_order_may_grow_after_its_invoice_was_given_up(api):
    order = create(api, line(10_000))
    invoice = issued(api, order)
    act(api, invoice, "mark-uncollectible")

    response = api.post(f"/v1/orders/{order['order_id']}/line-items", {"line_items": [line(500)]})
    later = issue(api, draft(api, order))

    assert response.status_code == 200
    assert (later["status"], amounts(later)["outstanding"]) == ("open", 500)
    assert later["snapshot"]["pricing_amounts"]["total_money"] == wire(eur(500))


@pytest.mark.parametrize("verb", ["void", "mark-uncollectible"])
def test_a_stale_version_is_refused(api, verb):
    invoice = issued(api)

    with nothing_moves():
        response = act(api, invoice, verb, {"expected_version": invoice["version"] - 1})

    refused(response, "VERSION_CONFLICT", status=409)
