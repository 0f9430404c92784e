"""Refunds, disputes, fees and payouts all together: whatever happened, the ledger keeps what the processor keeps."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.stories import eur, sweep
from orders.models import LedgerEntry
from payments.models import BalanceTransaction, Payout
from payments.processors.sandbox import clock, dashboard
from payments.tests.acts import going_wrong, later, reference_of
from payments.tests.reconciling import reconcile
from payments.tests.test_balance import assert_balance, at_the_processor, sync
from refunds.models import Dispute


@pytest.fixture
def sale(environment):
    return stories.paid_order(environment, total=10_000)


def dispute(environment, sale, **options) -> str:
    """Have the buyer's bank take the payment back, and tell Flint. Return the processor's name for it."""
    opened = dashboard.open_dispute(environment_id=environment.id, reference=reference_of(sale), **options)
    stories.deliver_notices(environment)
    return opened.reference


def test_a_dispute_takes_the_money_and_costs_a_fee(environment, sale, api):
    dispute(environment, sale)
    sync(environment)
    assert_balance(environment, EUR=-320 - 1_500)
    assert balances(sale)["processing_fees"] == 320 + 1_500
    assert_books(sale, paid=10_000, charged_back=10_000)
    movement = BalanceTransaction.objects.get(type="dispute")
    shown = api.get(f"/v1/balance-transactions/{movement.id}", {"expand": "order"}).data
    assert shown["related_resource"] == {"type": "dispute", "dispute_id": Dispute.objects.get().id}
    assert shown["order"]["order_id"] == sale.id


def test_a_dispute_that_is_won_gives_back_the_money_and_its_fee(environment, sale):
    reference = dispute(environment, sale)
    sync(environment)
    dashboard.win(environment_id=environment.id, reference=reference)
    stories.deliver_notices(environment)
    sync(environment)
    assert_balance(environment, **at_the_processor(environment))
    assert_books(sale, paid=10_000, charged_back=0, balance=0)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()


def test_money_taken_beyond_what_the_order_held_is_on_both_books(environment, sale):
    stories.refund(sale, amount_money=eur(6_000))
    dispute(environment, sale)
    sync(environment)
    assert_balance(environment, EUR=10_000 - 320 - 6_000 - 10_000 - 1_500)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()


def test_a_month_of_everything_ties_out(environment, sale, api):
    """Payments, a refund, a refund that came back, a dispute won, one lost, a payout, one that failed, fees of all."""
    sales = [sale, *(stories.paid_order(environment, total=amount) for amount in (2_500, 7_777, 12_345))]
    stories.refund(sales[1], amount_money=eur(1_000))
    failing = stories.refund(sales[2], amount_money=eur(777))
    dashboard.fail_refund(environment_id=environment.id, reference=failing.legs.get().reference)
    won, lost = dispute(environment, sales[3]), dispute(environment, sales[0])
    dashboard.win(environment_id=environment.id, reference=won)
    dashboard.lose(environment_id=environment.id, reference=lost)
    stories.deliver_notices(environment)
    sync(environment)
    assert_balance(environment, **at_the_processor(environment))

    clock.advance(later(days=5), environment.id)
    stories.deliver_notices(environment, at=later(days=5))
    sync(environment, at=later(days=5, minutes=1))
    (payout,) = Payout.objects.all()
    assert payout.status == "paid"
    lines = api.get(f"/v1/payouts/{payout.id}/entries", {"page_size": 100}).data
    assert sum(line["net_money"]["amount"] for line in lines) == payout.amount
    assert [line["occurred_at"] for line in lines] == sorted(line["occurred_at"] for line in lines)
    assert_balance(environment)

    dashboard.fail_payout(environment_id=environment.id, reference=payout.reference, at=later(days=6))
    stories.deliver_notices(environment, at=later(days=6))
    sync(environment, at=later(days=6, minutes=1))
    assert_balance(environment, EUR=payout.amount)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()
    for each in sales:
        each.refresh_from_db()
        assert_books(each, paid=each.total_amount)


def test_a_refund_of_a_debit_that_is_pending_waits_and_is_no_adjustment(environment, sale):
    """The processor lowers the balance when a refund is made; here it counts when it has succeeded."""
    made = stories.refund(sale, amount_money=eur(1_000))
    movement = BalanceTransaction
    leg = made.legs.get()
    sync(environment)
    assert movement.objects.get(source_reference=leg.reference).related_id == made.id
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()


def test_d083_a_refund_found_in_parts_is_counted_once(environment, sale):
    """One of ours on its way leaves no room for all of it at first; the balance fell once."""
    with going_wrong(sale, on="refund", fault="never_executed"):
        stories.refund(sale, amount_money=eur(4_000))
    dashboard.refund(environment_id=environment.id, reference=reference_of(sale), money=eur(10_000))
    reconcile(environment)
    sync(environment)
    assert_balance(environment, **at_the_processor(environment))
    assert BalanceTransaction.objects.get(type="refund").adjustment_amount == -4_000

    sweep(at=later(hours=1))
    reconcile(environment, at=later(hours=2))
    sync(environment, at=later(hours=3))

    assert_books(sale, refunded=10_000, refund_pending=0)
    assert_balance(environment, **at_the_processor(environment))
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()


def test_a_dispute_that_was_over_before_it_was_heard_of_is_explained(environment, sale):
    opened = dashboard.open_dispute(environment_id=environment.id, reference=reference_of(sale))
    dashboard.win(environment_id=environment.id, reference=opened.reference)
    stories.deliver_notices(environment)
    sync(environment)
    assert_balance(environment, **at_the_processor(environment))
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()


def test_a_refund_that_failed_before_it_was_heard_of_leaves_nothing_to_explain(environment, sale):
    made = dashboard.refund(environment_id=environment.id, reference=reference_of(sale), money=eur(1_000))
    dashboard.fail_refund(environment_id=environment.id, reference=made.reference)
    stories.deliver_notices(environment)
    sync(environment, at=later(hours=2))
    assert_balance(environment, **at_the_processor(environment))
    assert_books(sale, refunded=0, refund_pending=0)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()
