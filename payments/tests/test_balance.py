"""The ledger's processor account is the processor's own balance, through everything that moves it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from flint.events.models import Event
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books, balances, check_guard
from flint.testing.stories import eur
from orders.models import LedgerEntry
from payments.models import BalanceSync, BalanceTransaction, Payout
from payments.processors import processor_of
from payments.processors.sandbox import clock, dashboard, faults
from payments.services.balance_sync import _alone, sync_balance, sync_due
from payments.tests.acts import kinds_of, later


def sync(environment: Environment, **options) -> None:
    """Sync up to a moment after now, and do what that leaves to be done."""
    options.setdefault("at", later(minutes=1))
    with stories.settled():
        sync_balance(environment.id, **options)


def processor_account(environment: Environment) -> dict[str, int]:
    """Fold every ledger entry of an environment into its processor account, by currency."""
    kept: dict[str, int] = {}
    for entry in LedgerEntry.objects.filter(environment_id=environment.id):
        sign = (entry.debit == "processor") - (entry.credit == "processor")
        kept[entry.currency] = kept.get(entry.currency, 0) + sign * entry.amount
    return {currency: amount for currency, amount in kept.items() if amount}


def at_the_processor(environment: Environment) -> dict[str, int]:
    """What the processor says it keeps, by currency."""
    kept = processor_of("sandbox").balances(environment_id=environment.id)
    sums = {state.currency: state.available_amount + state.pending_amount for state in kept}
    return {currency: amount for currency, amount in sums.items() if amount}


def assert_balance(environment: Environment, **expected: int) -> None:
    """Assert what the processor keeps, and that the ledger says the same."""
    check_guard()
    assert processor_account(environment) == at_the_processor(environment) == expected


@pytest.fixture
def sale(environment):
    return stories.paid_order(environment, total=10_000)


def test_a_fee_belongs_to_the_order_that_it_was_taken_for(environment, sale, api):
    sync(environment)
    assert_balance(environment, EUR=10_000 - 320)
    assert_books(sale, paid=10_000, balance=0)
    assert balances(sale)["processing_fees"] == 320
    (movement,) = BalanceTransaction.objects.filter(environment=environment)
    assert (movement.order_id, movement.related_type, movement.is_explained) == (sale.id, "payment_intent", True)
    shown = api.get(f"/v1/payment-intents/{movement.related_id}").data
    assert shown["processing_fee_money"] == {"amount": 320, "currency": "EUR"}
    assert shown["merchant_net_money"] == {"amount": 9_680, "currency": "EUR"}


def test_a_fee_is_quiet(environment, sale, api):
    """It stands in the history, and refuses nobody's edit that was prepared before it."""
    before = api.get(f"/v1/orders/{sale.id}").data
    sync(environment)
    after = api.get(f"/v1/orders/{sale.id}").data
    assert kinds_of(sale)[-1] == "payment.fee_charged"
    (told, *_) = api.get(f"/v1/orders/{sale.id}/activities").data
    assert told["description"] == "Processor fee of €3.20"
    assert after == before


def test_a_fee_is_told_only_once_however_often_it_is_listed(environment, sale):
    for minutes in (1, 2, 3):
        sync(environment, at=later(minutes=minutes), since=environment.created_at)
    assert LedgerEntry.objects.filter(kind="fee").count() == 1
    assert Event.objects.filter(type="balance_transaction.created").count() == 1
    assert kinds_of(sale).count("payment.fee_charged") == 1


def test_a_refund_gives_no_fee_back_and_changes_none(environment, sale, api):
    sync(environment)
    stories.refund(sale, amount_money=eur(4_000))
    sync(environment)
    assert_balance(environment, EUR=10_000 - 320 - 4_000)
    leg = sale.payment_intents.get()
    assert (leg.processing_fee_money, leg.merchant_net_money) == (eur(320), eur(9_680))


def test_a_refund_that_the_bank_sends_back_is_on_both_books(environment, sale):
    made = stories.refund(sale, amount_money=eur(4_000))
    sync(environment)
    dashboard.fail_refund(environment_id=environment.id, reference=made.legs.get().reference)
    stories.deliver_notices(environment)
    sync(environment)
    assert_balance(environment, EUR=10_000 - 320)
    assert not BalanceTransaction.objects.filter(is_explained=False).exists()


def test_a_payout_leaves_the_balance_when_it_is_made_and_reaches_the_bank(environment, sale, api):
    sync(environment)
    clock.advance(later(days=4), environment.id)
    at = later(days=4, minutes=1)
    sync(environment, at=at)
    payout = Payout.objects.get()
    assert (payout.status, payout.amount, payout.initiated_by) == ("paid", 9_680, "scheduled")
    assert_balance(environment)
    bank = LedgerEntry.objects.filter(debit="bank").aggregate(sum=Sum("amount"))["sum"]
    assert bank == 9_680
    entries = api.get(f"/v1/payouts/{payout.id}/entries").data
    assert [entry["net_money"]["amount"] for entry in entries] == [9_680]
    assert entries[0]["order_id"] == sale.id
    told = list(Event.objects.filter(subject_id=payout.id).order_by("id").values_list("type", flat=True))
    assert told == ["payout.created", "payout.paid"]


def test_a_payout_that_comes_back_is_in_the_balance_again(environment, sale):
    clock.advance(later(days=4), environment.id)
    sync(environment, at=later(days=4, minutes=1))
    reference = Payout.objects.get().reference
    dashboard.fail_payout(
        environment_id=environment.id, reference=reference, code="account_closed", at=later(days=4, minutes=2)
    )
    stories.deliver_notices(environment, at=later(days=4, minutes=2))
    payout = Payout.objects.get()
    assert (payout.status, payout.failure_code) == ("failed", "account_closed")
    sync(environment, at=later(days=4, minutes=3))
    assert_balance(environment, EUR=9_680)
    assert list(LedgerEntry.objects.filter(debit="processor", credit="bank").values_list("kind", "amount")) == [
        ("payout_returned", 9_680)
    ]


def test_a_payout_made_by_hand_says_nothing_of_its_movements(environment, sale, api):
    clock.advance(later(days=2), environment.id)
    dashboard.pay_out(environment_id=environment.id, money=eur(5_000), at=later(days=2, minutes=1))
    sync(environment, at=later(days=2, minutes=2))
    payout = Payout.objects.get(initiated_by="manual")
    assert_balance(environment, EUR=4_680)
    assert api.get(f"/v1/payouts/{payout.id}/entries").data == []
    clock.advance(later(days=4), environment.id)
    sync(environment, at=later(days=4))
    refused = api.get(f"/v1/payouts/{payout.id}/entries")
    assert (refused.status_code, refused.code) == (503, "PAYOUT_ENTRIES_UNAVAILABLE")


def test_money_becomes_available_when_the_processor_says_so(environment, sale):
    sync(environment)
    assert BalanceTransaction.objects.get().status == "pending"
    # Its time has come, but the processor has not let it go yet.
    sync(environment, at=later(days=3))
    assert BalanceTransaction.objects.get().status == "pending"
    clock.advance(later(days=2), environment.id)
    sync(environment, at=later(days=3, minutes=1))
    assert BalanceTransaction.objects.get(type="payment").status == "available"
    assert Event.objects.filter(type="balance_transaction.updated").exists()


def test_currencies_are_kept_apart(environment, sale):
    stories.paid_order(environment, total=5_000, currency="JPY")
    sync(environment)
    kept = at_the_processor(environment)
    assert set(kept) == {"EUR", "JPY"}
    assert_balance(environment, **kept)


def test_a_sync_goes_on_from_where_the_last_one_ended(environment, sale):
    sync(environment, at=later(minutes=1))
    mark = BalanceSync.objects.get().synced_until
    faults.plan(environment.id, on="list", fault="unreachable")
    sync(environment, at=later(hours=5))
    broken = BalanceSync.objects.get()
    assert broken.synced_until == mark and "Unreachable" in broken.last_error
    faults.clear(environment.id)
    sync(environment, at=later(hours=6))
    mended = BalanceSync.objects.get()
    assert mended.synced_until > mark and mended.last_error == ""


@pytest.mark.django_db(transaction=True)
def test_a_sync_that_takes_long_is_not_begun_again_meanwhile(environment, sale):
    """A message is handed out again after some seconds; each copy would keep another worker busy."""

    def another() -> int:
        try:
            return sync_balance(environment.id, at=later(minutes=1))
        finally:
            connection.close()

    with _alone(environment.id) as is_alone, ThreadPoolExecutor(1) as worker:
        assert is_alone
        assert worker.submit(another).result() == 0
    assert not BalanceTransaction.objects.exists()

    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(another).result() == 1


def test_every_environment_with_a_processor_has_its_turn(environment, merchant):
    at = timezone.now()
    with stories.settled():
        sync_due(at=at)
    synced = set(BalanceSync.objects.filter(synced_until__isnull=False).values_list("environment_id", flat=True))
    assert environment.id in synced
    turns = BalanceSync.objects.get(environment=environment)
    assert turns.next_at > at
    assert sync_due(at=at) == 0
    assert sync_due(at=at + timedelta(minutes=6)) >= 1


def test_the_balance_is_what_the_processor_says_at_that_moment(environment, sale, api):
    (kept,) = api.get("/v1/balances").data
    assert kept == {
        "currency": "EUR",
        "available_money": {"amount": 0, "currency": "EUR"},
        "pending_money": {"amount": 9_680, "currency": "EUR"},
    }
    assert api.get("/v1/balances", {"currency": "USD"}).data == []


def test_a_processor_that_does_not_answer_shows_no_balance(environment, sale, api):
    faults.plan(environment.id, on="retrieve", fault="unreachable", times=99)
    refused = api.get("/v1/balances")
    assert (refused.status_code, refused.code) == (503, "BALANCE_SNAPSHOT_UNAVAILABLE")
    Environment.objects.filter(id=environment.id).update(processor="")
    assert api.get("/v1/balances").code == "BALANCE_SNAPSHOT_UNAVAILABLE"


def test_a_payment_that_nobody_here_made_is_an_adjustment_until_it_is_explained(environment, sale):
    """The balance is right at once, and people see what it is that nothing accounts for."""
    dashboard.charge(environment_id=environment.id, money=Money(2_000, "EUR"), token="pm_card_visa")
    sync(environment)
    unknown = BalanceTransaction.objects.get(source_reference__isnull=False, related_id="")
    assert unknown.booked_at is None
    sync(environment, at=later(hours=2))
    unknown.refresh_from_db()
    assert (unknown.is_explained, unknown.adjustment_amount) == (False, 2_000)
    kept = at_the_processor(environment)
    assert_balance(environment, **kept)
