"""What was sold and given back, by item and by tax; the same net figure in every report."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.processors import network_of
from flint.testing.reports import COMMITTED, minor, report
from flint.testing.stories import eur, line, settled
from orders.models import Order
from orders.services import update_line_item
from orders.tests import sales
from payments.models import PaymentIntent, PaymentOperation
from payments.tests.acts import VISA
from refunds.models import Refund
from refunds.tests.histories import History

pytestmark = pytest.mark.django_db(**COMMITTED)


def sums(found, name: str, by: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for row in found.rows:
        totals[row[by]] = totals.get(row[by], 0) + minor(row[name])
    return totals


def sold(api, *lines, **body):
    """Sell over the API and pay."""
    order = sales.create(api, *lines, **body)
    with settled():
        paid = api.post(f"/v1/orders/{order['order_id']}/pay", {"action": "pay", "payment_source": {"token": VISA}})
    assert paid.status_code == 200, paid.error
    return order


def give_back(api, order, **body):
    with settled():
        answer = api.post("/v1/refunds", {"order_id": order["order_id"], **body})
    assert answer.status_code == 201, answer.error
    return answer.data


def test_an_item_is_sold_in_one_interval_and_given_back_in_another(api, environment):
    order = sold(api, sales.line(1_000, name="Cup", quantity=3, tax=sales.taxed(10)), sales.line(500, name="Tea"))
    cup, tea = (item["order_line_item_id"] for item in order["line_items"])
    between = timezone.now()
    give_back(api, order, line_items=[{"order_line_item_id": cup, "quantity": 1}])

    sale = report(environment, "orders_itemized_v2", end=between)
    back = report(environment, "orders_itemized_v2", start=between, end=timezone.now())

    assert [(r["entry_type"], r["item_id"], r["name"], r["quantity"], r["net"], r["tax"]) for r in sale.rows] == [
        ("sale", cup, "Cup", "3", "30.00", "3.00"),
        ("sale", tea, "Tea", "1", "5.00", "0.00"),
    ]
    assert [(r["entry_type"], r["item_id"], r["name"], r["quantity"], r["net"], r["tax"]) for r in back.rows] == [
        ("return", cup, "Cup", "-1", "-10.00", "-1.00")
    ]


def test_an_edit_counts_by_what_it_changed(environment):
    order = stories.open_order(environment, line(1_000, quantity=3))
    between = timezone.now()
    item = order.line_items.get()
    update_line_item(order_id=order.id, line_item_id=item.id, data={"quantity": 1}, actor=stories.actor_in(environment))
    (change,) = report(environment, "orders_itemized_v2", start=between, end=timezone.now()).rows
    assert (change["item_id"], change["quantity"], change["net"]) == (item.id, "-2", "-20.00")


def test_tax_is_told_by_item_and_by_jurisdiction_with_what_went_back(api, environment):
    order = sold(api, sales.line(1_000, quantity=4, tax=sales.taxed(8.875)))
    give_back(
        api, order, line_items=[{"order_line_item_id": order["line_items"][0]["order_line_item_id"], "quantity": 1}]
    )

    by_item = report(environment, "tax_itemized_v1")
    (summary,) = report(environment, "tax_summarized_v1").rows

    assert sums(by_item, "tax", "entry_type") == {"sale": 355, "return": -88}
    assert (summary["jurisdiction"], summary["percent"], summary["charged"], summary["returned"]) == (
        "ny-nyc",
        "8.875",
        "3.55",
        "-0.88",
    )
    assert (summary["taxable_sales"], summary["tax"]) == ("40.00", "2.67")


def test_d159_every_report_tells_the_same_net_figure(api, environment):
    """Five orders, given back by line, by amount, and in the processor's dashboard."""
    orders = [sold(api, sales.line(2_000), sales.line(1_500, tax=sales.taxed(19))) for _ in range(5)]
    give_back(api, orders[0], line_items=[{"order_line_item_id": orders[0]["line_items"][1]["order_line_item_id"]}])
    give_back(api, orders[1], amount_money=sales.money(777))
    give_back(api, orders[2])
    leg = PaymentIntent.objects.get(order_id=orders[3]["order_id"])
    network_of(environment).refund(PaymentOperation.objects.get(payment_intent=leg).reference, eur(888))
    stories.deliver_notices(environment)
    assert Refund.objects.filter(origin="processor", status="succeeded").count() == 1

    by_order = report(environment, "orders_itemized_v1")
    by_item = report(environment, "orders_itemized_v2")
    journal = report(environment, "journal_v1")
    refunds = report(environment, "refunds_itemized_v1")

    credited = refunds.total("amount")
    worth = sum(Order.objects.get(id=order["order_id"]).total_amount for order in orders)
    debits = sum(minor(r["amount"]) for r in journal.rows if r["kind"].startswith("sale_"))
    returns = sum(minor(r["amount"]) for r in journal.rows if r["kind"].startswith("credit_"))
    assert by_order.total("net_sold") == by_item.total("total") == worth - credited == debits - returns
    assert by_item.total("tax") == report(environment, "tax_itemized_v1").total("tax")
    assert by_item.total("tax") == report(environment, "tax_summarized_v1").total("tax")
    # What was given back by amount alone is spread over the items, and none of it is missing.
    of_second = [
        row for row in by_item.rows if row["order_id"] == orders[1]["order_id"] and row["entry_type"] == "return"
    ]
    assert sum(minor(row["total"]) for row in of_second) == -777


def test_d157_a_part_and_then_the_rest_are_not_counted_twice(environment):
    order = stories.paid_order(environment, total=5_000)
    first = timezone.now()
    stories.refund(order, amount_money=eur(1_500))
    second = timezone.now()
    stories.refund(order)
    end = timezone.now()

    def returns(**interval):
        return report(environment, "refunds_itemized_v1", **interval).total("amount")

    assert returns(end=first) == 0
    assert returns(start=first, end=second) == 1_500
    assert returns(start=second, end=end) == 3_500
    assert returns(end=end) == 5_000
    order.refresh_from_db()
    assert order.refunded_amount == 5_000
    assert report(environment, "orders_itemized_v1", end=end).total("net_sold") == 0


def test_d161_a_refund_in_two_parts_is_one_refunded_order(environment):
    twice, never = (stories.paid_order(environment, total=2_000) for _ in range(2))
    stories.refund(twice, amount_money=eur(500))
    stories.refund(twice, amount_money=eur(700))

    found = report(environment, "orders_itemized_v1")

    assert [row["order_id"] for row in found.rows if minor(row["refunded"])] == [twice.id]
    assert (len(found.rows), found.total("refunded"), found.total("paid")) == (2, 1_200, 4_000)
    assert never.id in found.column("order_id")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_all_reports_agree(api, environment, seed):
    history = History(api, seed).go(25)
    edges = [timezone.now() - timedelta(days=1), *(at for at, _ in history.answers[::6]), timezone.now()]
    for name in ("orders_itemized_v1", "orders_itemized_v2", "tax_itemized_v1", "refunds_itemized_v1", "journal_v1"):
        whole = report(environment, name, start=edges[0], end=edges[-1])
        parts = [report(environment, name, start=a, end=b) for a, b in zip(edges, edges[1:], strict=False)]
        totals = [column for column in whole.about if column.startswith("total ") and "=" not in column]
        for column in totals:
            assert sum(minor(part.about[column]) for part in parts) == minor(whole.about[column]), (name, column)
