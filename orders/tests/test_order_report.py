"""Orders, itemised: what moved, order by order, in the interval in which it moved."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.reports import COMMITTED, minor, report
from flint.testing.stories import eur, line
from orders.services import close_order

pytestmark = pytest.mark.django_db(**COMMITTED)


def test_a_row_tells_what_was_sold_collected_and_given_back(environment):
    order = stories.paid_order(environment, line(6_000), line(4_000, name="Mug"))
    stories.refund(order, amount_money=eur(2_500))
    open_one = stories.open_order(environment, total=3_000)
    close_order(order_id=open_one.id, actor=stories.actor_in(environment))

    found = report(environment, "orders_itemized_v1")

    first, second = found.rows
    assert (first["order_id"], first["order_number"]) == (order.id, order.order_number)
    amounts = {
        name: minor(first[name]) for name in ("goods", "sold", "credited", "net_sold", "paid", "refunded", "owed")
    }
    assert amounts == {
        "goods": 10_000,
        "sold": 10_000,
        "credited": 2_500,
        "net_sold": 7_500,
        "paid": 10_000,
        "refunded": 2_500,
        "owed": 0,
    }
    assert (minor(second["sold"]), minor(second["written_off"]), minor(second["owed"])) == (3_000, 3_000, 0)
    assert found.about["total sold"] == "130.00"


def test_what_moves_later_is_in_the_later_interval(environment):
    order = stories.open_order(environment, total=10_000)
    between = timezone.now()
    stories.pay(order)

    sale = report(environment, "orders_itemized_v1", end=between)
    payment = report(environment, "orders_itemized_v1", start=between, end=timezone.now())

    assert [(row["sold"], row["paid"], row["owed"]) for row in sale.rows] == [("100.00", "0.00", "100.00")]
    assert [(row["sold"], row["paid"], row["owed"]) for row in payment.rows] == [("0.00", "100.00", "-100.00")]


def test_only_one_currency_and_one_environment(environment, other_api):
    stories.paid_order(environment, total=1_000)
    stories.paid_order(environment, total=900, currency="USD")
    stories.paid_order(other_api.environment, total=800)
    assert report(environment, "orders_itemized_v1").column("sold") == ["10.00"]
    assert report(environment, "orders_itemized_v1", currency="USD").column("sold") == ["9.00"]
    assert report(environment, "orders_itemized_v1", currency="JPY").rows == []


def test_a_name_cannot_become_a_formula_and_times_are_by_the_zone(environment):
    order = stories.open_order(environment)
    found = report(environment, "orders_itemized_v1", zone="Asia/Kolkata")
    (shown,) = found.column("ordered_at")
    assert datetime.fromisoformat(shown).utcoffset() == datetime.now(ZoneInfo("Asia/Kolkata")).utcoffset()
    assert abs((datetime.fromisoformat(shown) - order.created_at).total_seconds()) < 0.01
    assert found.about["timezone"] == "Asia/Kolkata"
