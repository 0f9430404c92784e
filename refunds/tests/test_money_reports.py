"""What came in, what moved on the processor's balance, what was paid out and what is owed, each in its report."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.reports import COMMITTED, minor, report
from flint.testing.stories import eur
from orders.models import LedgerEntry
from orders.reports.receivables import age
from payments.models import BalanceTransaction, Payout
from payments.processors.sandbox import clock, dashboard
from payments.tests.acts import later, reference_of
from payments.tests.test_balance import processor_account, sync
from payments.tests.test_standalone_intents import act, create
from refunds.models import Refund
from refunds.services.explaining import explain_refund

pytestmark = pytest.mark.django_db(**COMMITTED)


def test_payments_are_each_listed_once(environment):
    orders = [stories.paid_order(environment, total=amount) for amount in (2_500, 7_777)]
    stories.refund(orders[0], amount_money=eur(1_000))

    found = report(environment, "payments_itemized_v1")

    assert found.column("order_id") == [order.id for order in orders]
    assert found.column("amount") == ["25.00", "77.77"]
    assert {(row["entry_type"], row["processor"], row["brand"], row["last4"]) for row in found.rows} == {
        ("capture", "sandbox", "visa", "4242")
    }
    assert found.column("payment_id") == [order.payment_intents.get().id for order in orders]


def test_a_payment_taken_without_an_order_is_money_all_the_same(environment, api):
    intent = create(api, 1_500)
    assert act(api, intent, "confirm", {"payment_source_token": "pm_card_visa"}).status_code == 200

    (payment,) = report(environment, "payments_itemized_v1").rows

    assert (payment["payment_id"], payment["amount"], payment["order_id"]) == (intent, "15.00", "")
    assert report(environment, "journal_v1").total("amount") == 3_000


def test_the_balance_and_a_payout_with_each_line_explained(environment):
    sales = [stories.paid_order(environment, total=amount) for amount in (10_000, 2_500)]
    stories.refund(sales[1], amount_money=eur(1_000))
    stories.deliver_notices(environment)
    sync(environment)
    clock.advance(later(days=5), environment.id)
    stories.deliver_notices(environment, at=later(days=5))
    sync(environment, at=later(days=5, minutes=1))
    payout = Payout.objects.get()

    balance = report(environment, "balance_transactions_itemized_v1")
    payouts = report(environment, "payouts_itemized_v1")

    assert len(balance.rows) == BalanceTransaction.objects.count()
    assert balance.total("net") == processor_account(environment).get("EUR", 0) == 0
    assert {row["related_type"] for row in balance.rows} == {"payment_intent", "refund", "payout"}
    head, *entries = payouts.rows
    assert (head["line_type"], head["payout_id"], minor(head["paid_out"])) == ("payout", payout.id, payout.amount)
    assert {row["line_type"] for row in entries} == {"entry"}
    assert sum(minor(row["net"]) for row in entries) == payout.amount
    assert {row["order_id"] for row in entries} == {sale.id for sale in sales}
    fees = sum(LedgerEntry.objects.filter(kind="fee").values_list("amount", flat=True))
    assert sum(minor(row["fee"]) for row in entries) == fees


def test_a_payout_made_by_hand_shows_that_nothing_explains_it(environment):
    stories.paid_order(environment, total=10_000)
    clock.advance(later(days=2), environment.id)
    dashboard.pay_out(environment_id=environment.id, money=eur(3_000), at=later(days=2, minutes=1))
    sync(environment, at=later(days=2, minutes=2))
    head, rest = report(environment, "payouts_itemized_v1").rows
    assert (head["paid_out"], rest["line_type"], rest["net"]) == ("30.00", "unexplained", "30.00")


def test_what_is_owed_is_told_as_of_the_end(environment):
    order = stories.open_order(environment, total=4_000)
    stories.paid_order(environment, total=1_000)
    then = timezone.now()
    stories.pay(order)

    (owed,) = report(environment, "receivables_by_age_v1", end=then).rows

    assert (owed["order_id"], owed["owed"], owed["days"], owed["age"]) == (order.id, "40.00", "0", "0 to 30 days")
    assert report(environment, "receivables_by_age_v1").rows == []


def test_ages_are_of_one_kind_each():
    """Their edges, which an order would have to wait for."""
    names = ["0 to 30 days", "31 to 60 days", "61 to 90 days", "more than 90 days"]
    assert [age(days) for days in (0, 30, 31, 60, 61, 90, 91)] == [names[i] for i in (0, 0, 1, 1, 2, 2, 3)]


def test_what_waits_for_people_is_listed_until_it_is_dealt_with(environment):
    order = stories.paid_order(environment, total=10_000)
    dashboard.refund(environment_id=environment.id, reference=reference_of(order), money=eur(1_000))
    stories.deliver_notices(environment)
    refund = Refund.objects.get(origin="processor")
    then = timezone.now()

    (waiting,) = report(environment, "work_items_v1", end=then).rows
    assert (waiting["kind"], waiting["item_id"], waiting["state"], waiting["amount"]) == (
        "explain_refund",
        refund.id,
        "open",
        "10.00",
    )

    explain_refund(refund.id, reason="duplicate", actor=stories.actor_in(environment))
    (closed,) = report(environment, "work_items_v1").rows
    assert closed["state"] == "closed"
    (before,) = report(environment, "work_items_v1", end=then).rows
    assert (before["state"], before["closed_at"]) == ("open", "")
    assert report(environment, "work_items_v1", start=timezone.now() - timedelta(microseconds=1)).rows == []
