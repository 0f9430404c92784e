"""Orders that grow after they were billed, and what may not be billed at all."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books, check_guard
from flint.testing.stories import actor_in, eur, line, wire
from invoices.amounts import amounts_of
from invoices.models import Invoice
from invoices.services.manual import record_manual_payment, reverse_manual_payment
from invoices.snapshots import CHANGES
from invoices.tests.asking import act, amounts, by_hand, draft, issue, issued
from orders.models import LedgerEntry, Order
from orders.services import add_line_items
from orders.tests import sales
from orders.tests.sales import create, nothing_moves, refused
from refunds.tests.disputing import dispute


def add(api, order_id, *lines):
    response = api.post(f"/v1/orders/{order_id}/line-items", {"line_items": list(lines)})
    assert response.status_code == 200, response.error


def test_d131_an_add_on_is_billed_by_itself_once_it_is_asked_for(api):
    order = create(api, sales.line(2_000))
    first = issued(api, order)
    by_hand(api, first, 2_000)

    add(api, order["order_id"], sales.line(500, name="Sugar"))

    assert [each["status"] for each in api.get("/v1/invoices").data] == ["paid"]
    assert_books(order["order_id"], total=2_500, outstanding=500)
    second = issued(api, order)
    assert amounts(second) == {"outstanding": 500, "currently_due": 500, "paid": 0, "credit": 0, "refunded": 0}
    assert [row["name"] for row in second["snapshot"]["line_items"]] == ["Sugar"]
    paid = by_hand(api, second, 500)
    assert paid["status"] == "paid"
    totals = Invoice.objects.filter(order_id=order["order_id"]).values_list("total_amount", flat=True)
    assert sum(totals) == 2_500
    assert_books(order["order_id"], total=2_500, paid=2_500, outstanding=0)
    again = api.get(f"/v1/invoices/{first['invoice_id']}").data
    assert (again["status"], amounts(again)["paid"]) == ("paid", 2_000)


def test_what_was_collected_beyond_the_first_counts_on_the_second(api, environment):
    """Money that came in twice for the first invoice is not asked for again by the second."""
    order = stories.open_order(environment, total=2_000)
    invoice = stories.issued_invoice(order).invoice
    stories.pay(order, invoice_id=invoice.id)
    add(api, order.id, sales.line(500))
    Order.objects.get(id=order.id)

    second = issued(api, {"order_id": order.id})

    standing = amounts_of(Invoice.objects.get(id=second["invoice_id"]), Order.objects.get(id=order.id))
    assert (standing.total, standing.paid, standing.outstanding) == (500, 0, 500)


def test_a_changed_discount_is_a_line_of_its_own(api):
    """A discount that takes more once there is more to take it from lowers what was billed before."""
    order = create(api, sales.line(1_000), discounts=[{"manual": {"name": "Gift", "amount_money": wire(eur(1_500))}}])
    add(api, order["order_id"], sales.line(2_000, name="Pot"))
    first = issued(api, order)
    assert amounts(first)["outstanding"] == 1_500
    by_hand(api, first, 1_500)
    add(api, order["order_id"], sales.line(700, name="Lid"))

    second = issued(api, order)

    lines = {row["name"]: row["total_money"]["amount"] for row in second["snapshot"]["line_items"]}
    assert (
        sum(lines.values())
        == amounts(second)["outstanding"]
        == second["snapshot"]["pricing_amounts"]["total_money"]["amount"]
    )
    assert set(lines) <= {"Lid", CHANGES}


@pytest.mark.parametrize("verb", ["create", "issue"])
def test_d132_nothing_is_billed_of_a_refunded_order(api, environment, verb):
    order = stories.open_order(environment, total=3_000)
    waiting = draft(api, {"order_id": order.id}) if verb == "issue" else None
    stories.pay(order)
    stories.refund(order)

    for _ in range(2):
        with nothing_moves():
            if waiting:
                response = act(api, waiting, "issue", {"delivery_mode": "caller_managed"})
            else:
                response = api.post("/v1/invoices", {"order_id": order.id})
            refused(response, "ORDER_ALREADY_PAID", status=409)
    assert not Invoice.objects.filter(issued_at__isnull=False).exists()
    assert_books(order, paid=3_000, refunded=3_000, credit=3_000, outstanding=0)


@pytest.mark.parametrize("verb", ["create", "issue"])
def test_d132_nothing_is_billed_of_a_closed_order(api, verb):
    order = create(api)
    waiting = draft(api, order) if verb == "issue" else None
    assert api.post(f"/v1/orders/{order['order_id']}/close", {}).status_code == 200

    with nothing_moves():
        if waiting:
            response = act(api, waiting, "issue", {"delivery_mode": "caller_managed"})
        else:
            response = api.post("/v1/invoices", {"order_id": order["order_id"]})

    refused(response, "ORDER_NOT_OPEN", status=409)


def test_d132_a_void_invoice_is_not_issued_again(api):
    invoice = issued(api)
    act(api, invoice, "void")

    with nothing_moves():
        refused(act(api, invoice, "issue", {}), "INVOICE_NOT_DRAFT", status=409)


def test_d134_no_more_is_booked_on_an_invoice_than_it_asks_for(api):
    """Money for two invoices is recorded on each: no amount waits on one of them to be moved."""
    first, second = issued(api, create(api, sales.line(5_000))), issued(api, create(api, sales.line(7_000)))
    by_hand(api, first, 2_000)

    with nothing_moves():
        response = act(api, second, "manual-payments", {"amount_money": wire(eur(10_000))})

    refused(response, "AMOUNT_EXCEEDS_BALANCE")
    assert response.error["maximum_money"] == wire(eur(7_000))
    assert by_hand(api, second, 7_000)["status"] == by_hand(api, first, 3_000)["status"] == "paid"
    assert_books(first["order_id"], paid=5_000, outstanding=0)
    assert_books(second["order_id"], paid=7_000, outstanding=0)


def test_d136_the_second_of_two_prepared_payments_finds_nothing_due(api):
    invoice = issued(api, create(api, sales.line(9_000)))
    body = {"amount_money": wire(eur(9_000))}

    assert act(api, invoice, "manual-payments", body).status_code == 200
    with nothing_moves():
        refused(act(api, invoice, "manual-payments", body), "INVOICE_NOT_COLLECTIBLE", status=409)

    assert_books(invoice["order_id"], paid=9_000, outstanding=0)


def test_d137_an_invoice_adds_no_entry_to_the_ledger(api):
    """What is owed is posted when it is sold, once; asking for it, however often, posts nothing."""
    order = create(api, sales.line(372_640))
    before = list(LedgerEntry.objects.filter(order_id=order["order_id"]).values())

    waiting = draft(api, order)
    invoice = issue(api, waiting)
    for _ in range(2):
        refused(act(api, waiting, "issue", {}), "INVOICE_NOT_DRAFT", status=409)
    act(api, invoice, "void")
    issued(api, order)

    assert list(LedgerEntry.objects.filter(order_id=order["order_id"]).values()) == before
    assert_books(order["order_id"], total=372_640, outstanding=372_640)


def test_d129_twenty_notices_of_a_payment_make_no_invoice(environment):
    """An invoice is made when somebody asks for it, never by a payment; and once for an order."""
    order = stories.open_order(environment, total=4_500)
    invoice = stories.issued_invoice(order).invoice
    stories.pay(order, invoice_id=invoice.id)
    for _ in range(20):
        stories.deliver_notices(environment)

    assert [each.total_amount for each in Invoice.objects.filter(order=order)] == [4_500]
    assert Invoice.objects.get().status == "paid"
    assert order.events.filter(type="invoice.paid").count() == 1
    assert_books(order, paid=4_500, outstanding=0)


def test_a_disputed_payment_has_the_invoice_ask_again_though_the_order_has_grown(environment):
    """What came on top is billed by nobody yet, and is not asked for by the invoice that bills the rest."""
    order = stories.open_order(environment, total=4_000)
    invoice = stories.issued_invoice(order).invoice
    stories.pay(order, invoice_id=invoice.id)
    add_line_items(order_id=order.id, line_items=[line(600)], actor=actor_in(environment))
    stories.draft_invoice(order)

    dispute(order)

    check_guard()
    order = Order.objects.get(id=order.id)
    again = Invoice.objects.get(id=invoice.id)
    assert (again.status, order.invoice_id, order.is_under_invoice) == ("open", again.id, True)
    assert (amounts_of(again, order).outstanding, order.outstanding_amount) == (4_000, 4_600)
    assert order.invoices.filter(status="draft").count() == 1


def test_a_draft_waits_while_an_earlier_invoice_asks_again(api, environment):
    order = stories.open_order(environment, total=4_000)
    invoice = stories.issued_invoice(order).invoice
    actor = actor_in(environment)
    record_manual_payment(invoice_id=invoice.id, money=eur(4_000), actor=actor)
    add_line_items(order_id=order.id, line_items=[line(600)], actor=actor)
    waiting = draft(api, {"order_id": order.id})
    reverse_manual_payment(invoice_id=invoice.id, money=eur(1_000), actor=actor)

    with nothing_moves():
        response = act(api, waiting, "issue", {"delivery_mode": "caller_managed"})
    refused(response, "ORDER_ALREADY_HAS_ACTIVE_INVOICE", status=409)

    record_manual_payment(invoice_id=invoice.id, money=eur(1_000), actor=actor)
    later = issue(api, waiting)
    assert (amounts(later)["outstanding"], later["status"]) == (600, "open")


def test_money_of_an_earlier_invoice_stays_once_a_later_one_asks(api):
    order = create(api, sales.line(2_000))
    first = issued(api, order)
    by_hand(api, first, 2_000)
    add(api, order["order_id"], sales.line(500))
    issued(api, order)

    with nothing_moves():
        response = act(api, first, "manual-payments/reverse", {"amount_money": wire(eur(100))})

    refused(response, "INVOICE_NOT_REVERSIBLE", status=409)
