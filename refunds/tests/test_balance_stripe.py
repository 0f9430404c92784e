"""The same at Stripe, through the real SDK: the ledger keeps what Stripe keeps, converted or not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.books import assert_books, balances, check_guard
from flint.testing.processors import network_of
from flint.testing.stories import eur
from orders.models import LedgerEntry
from payments.models import BalanceTransaction, Payout
from payments.processors import processor_of
from payments.tests.acts import reference_of
from payments.tests.test_balance import processor_account, sync


@pytest.fixture
def environment(stripe_environment):
    return stripe_environment


@pytest.fixture
def network(environment):
    return network_of(environment)


def synced(environment, network) -> None:
    """Sync a minute later by Stripe's clock."""
    at = network.moment(timezone.now() + timedelta(minutes=1))
    network.advance(at)
    stories.deliver_notices(environment, at=at)
    sync(environment, at=at + timedelta(minutes=1))


def assert_kept(environment, **expected: int) -> None:
    """Assert what Stripe keeps, and that the ledger says the same."""
    check_guard()
    kept = processor_of("stripe").balances(environment_id=environment.id)
    sums = {state.currency: state.available_amount + state.pending_amount for state in kept}
    assert processor_account(environment) == {currency: sum for currency, sum in sums.items() if sum} == expected


def test_payments_refunds_disputes_fees_and_payouts_tie_out(environment, network):
    first, second = (stories.paid_order(environment, total=amount) for amount in (10_000, 5_000))
    stories.refund(second, amount_money=eur(2_000))
    synced(environment, network)
    assert_kept(environment, EUR=10_000 - 320 + 5_000 - 175 - 2_000)
    assert balances(first)["processing_fees"] == 320

    with network.book.lock:
        network.book.open_dispute(reference_of(first))
    synced(environment, network)
    assert_kept(environment, EUR=10_000 - 320 + 5_000 - 175 - 2_000 - 10_000 - 1_500)
    assert_books(first, processor=False, paid=10_000, charged_back=10_000)

    network.advance(network.moment(timezone.now() + timedelta(days=3)))
    with network.book.lock:
        network.book.adjust(-5)
        network.book.adjust(12_000, type="topup", category="topup")
        paid_out = network.book.pay_out("eur")
    synced(environment, network)
    network.advance(network.moment(timezone.now() + timedelta(days=6)))
    synced(environment, network)
    payout = Payout.objects.get(reference=paid_out["id"])
    assert (payout.status, payout.amount) == ("paid", 13_000)
    assert payout.entries_complete_at is not None
    assert_kept(environment)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()


def test_d162_a_payment_that_stripe_converted_is_what_stripe_says_it_became(environment, network):
    with network.book.lock:
        network.book.rates["jpy"] = ("eur", 62, 100)
    sale = stories.paid_order(environment, total=5_000, currency="JPY")
    stories.refund(sale, amount_money=sale.money(1_000))
    synced(environment, network)
    (payment,) = BalanceTransaction.objects.filter(type="payment")
    assert (payment.currency, payment.amount) == ("EUR", 3_100)
    assert_kept(environment, EUR=payment.net_amount - 620)
    assert balances(sale)["processor"] == 0
    assert_books(sale, paid=5_000, refunded=1_000)
    adjusted = LedgerEntry.objects.filter(kind="adjustment").order_by("id")
    assert {(each.currency, each.order_id is None) for each in adjusted} == {("EUR", True), ("JPY", False)}
