"""Recording movements of the balance: once each, in any order, by anybody, and booked when they can be explained."""

from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import actors
from flint.events import services as events
from flint.events.models import Event
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books, balances, check_guard
from flint.testing.stories import eur
from orders import ledger
from orders.models import LedgerEntry
from payments.models import BalanceTransaction, PaymentIntent, Payout
from payments.processors.base import BalanceTransactionState, DoesNotFit, PayoutState
from payments.services.balance_sync import sync_balance
from payments.services.bookkeeping import OVERDUE_AFTER, UNKNOWN_AFTER, book
from payments.services.movements import record_movements
from payments.services.payouts import record_payout
from payments.tests.acts import at_once, kinds_of, later, reference_of


def told(environment, reference="btx_1", *, amount=10_000, fee=320, type="payment", **facts) -> BalanceTransactionState:
    """What a processor says of one movement."""
    facts.setdefault("occurred_at", timezone.now())
    return BalanceTransactionState(
        reference=reference,
        type=type,
        amount=amount,
        fee_amount=fee,
        net_amount=amount - fee,
        environment_id=environment.id,
        **{"status": "pending", "currency": "EUR", **facts},
    )


def of_sale(sale, reference="btx_1", **facts) -> BalanceTransactionState:
    """What a processor says of the payment of an order."""
    return told(sale.environment, reference, source_kind="payment", source_reference=reference_of(sale), **facts)


def record(environment, *states, at=None, **options) -> list[BalanceTransaction]:
    """Record what a processor said."""
    actor = actors.processor(environment.id, "sandbox")
    return record_movements(states, processor="sandbox", actor=actor, at=at, **options)


def look_again(environment, *, at) -> None:
    """Try once more to explain what is unexplained."""
    actor = actors.processor(environment.id, "sandbox")
    rows = BalanceTransaction.objects.filter(environment=environment, is_explained=False)
    book(list(rows), processor="sandbox", actor=actor, at=at)


def entries() -> list[tuple[str, int, str, bool]]:
    """The ledger entries that movements made: kind, signed amount, currency, and whether they are an order's."""
    found = LedgerEntry.objects.filter(kind__in=["fee", "adjustment", "payout", "payout_returned"]).order_by("id")
    credited = {"fee": "processor", "adjustment": "processor_adjustments"}
    return [
        (
            each.kind,
            each.amount if credited.get(each.kind, each.credit) == each.credit else -each.amount,
            each.currency,
            each.order_id is not None,
        )
        for each in found
    ]


@pytest.fixture
def sale(environment):
    return stories.paid_order(environment, total=10_000)


def test_a_fee_given_back_runs_backwards(environment, sale):
    record(environment, of_sale(sale), of_sale(sale, "btx_2", type="adjustment", amount=0, fee=-100))
    assert ("fee", -100, "EUR", True) in entries()
    assert balances(sale)["processing_fees"] == 220
    assert_books(sale, paid=10_000)


def test_news_that_comes_late_changes_nothing(environment, sale):
    new, old = of_sale(sale, status="available"), of_sale(sale, status="pending")
    record(environment, replace(new, occurred_at=old.occurred_at))
    record(environment, old)
    (movement,) = BalanceTransaction.objects.all()
    assert movement.status == "available"
    assert kinds_of(sale).count("payment.fee_charged") == 1


def test_a_movement_that_is_told_otherwise_is_refused(environment, sale):
    record(environment, of_sale(sale))
    with pytest.raises(DoesNotFit, match="fee_amount"):
        record(environment, of_sale(sale, fee=500), told(environment, "btx_2", type="adjustment", amount=5, fee=0))
    assert BalanceTransaction.objects.count() == 1
    with pytest.raises(DoesNotFit, match="is not"):
        record(environment, replace(of_sale(sale, "btx_3"), net_amount=1))
    assert BalanceTransaction.objects.count() == 1


def test_the_database_lets_no_movement_be_rewritten_and_no_fee_differ(environment, sale):
    record(environment, of_sale(sale))
    with pytest.raises(Exception, match="movement_is_never_rewritten|Cannot update"), transaction.atomic():
        BalanceTransaction.objects.update(fee_amount=1, net_amount=9_999)
    with pytest.raises(IntegrityError, match="leg_fee_is_its_movements"), transaction.atomic():
        PaymentIntent.objects.update(processing_fee_amount=1)
        check_guard()


def test_another_environment_of_the_same_account_records_its_own(environment, sale):
    assert record(environment, replace(of_sale(sale), environment_id="env_another")) == []
    assert not BalanceTransaction.objects.exists()


def test_an_adjustment_of_the_processor_is_one_here(environment, sale):
    record(environment, told(environment, type="adjustment", amount=-250, fee=0))
    assert entries() == [("adjustment", -250, "EUR", False)]
    assert BalanceTransaction.objects.get().is_explained


def test_what_is_found_out_late_moves_from_the_adjustment_to_the_order(environment, sale):
    """A payment whose answer was lost is listed by the processor before anybody here knows which one it is."""
    reference = reference_of(sale)
    state = of_sale(sale)
    hidden = sale.payment_intents.get().operations.get(kind="confirm")
    hidden.reference = ""
    hidden.save()
    record(environment, state)
    assert entries() == []
    look_again(environment, at=timezone.now() + UNKNOWN_AFTER)
    assert entries() == [("adjustment", 10_000, "EUR", False), ("fee", 320, "EUR", False)]
    assert not BalanceTransaction.objects.get().is_explained
    hidden.reference = reference
    hidden.save()
    for _ in range(2):
        look_again(environment, at=timezone.now() + UNKNOWN_AFTER)
    assert entries()[2:] == [
        ("adjustment", -10_000, "EUR", False),
        ("fee", -320, "EUR", False),
        ("fee", 320, "EUR", True),
    ]
    assert BalanceTransaction.objects.get().order_id == sale.id
    assert sale.payment_intents.get().processing_fee_money == eur(320)
    check_guard()


def test_what_our_own_row_has_not_booked_yet_waits_for_it(environment):
    """The processor takes a refund off the balance at once, and here it counts when it succeeds."""
    held = stories.held_order(environment)
    state = told(environment, source_kind="payment", source_reference=reference_of(held))
    record(environment, state)
    assert entries() == []
    look_again(environment, at=timezone.now() + OVERDUE_AFTER)
    assert entries() == [("adjustment", 10_000, "EUR", False), ("fee", 320, "EUR", True)]


def test_a_difference_to_what_was_booked_is_an_adjustment_for_people_to_look_at(environment, sale):
    record(environment, of_sale(sale, amount=9_990))
    assert entries() == [("adjustment", -10, "EUR", False), ("fee", 320, "EUR", True)]
    assert not BalanceTransaction.objects.get().is_explained


def test_a_payment_told_in_two_movements_sums_up(environment, sale):
    record(environment, of_sale(sale, amount=12_000))
    record(environment, of_sale(sale, "btx_2", amount=-2_000, fee=0))
    look_again(environment, at=timezone.now())
    assert sum(amount for kind, amount, *_ in entries() if kind == "adjustment") == 0
    assert BalanceTransaction.objects.filter(is_explained=True).count() == 2


def test_d162_a_payment_settled_in_another_currency_is_converted_by_the_processor_alone(environment, api):
    """No rate is assumed: what left in one currency and came in another are two amounts that the processor told."""
    sale = stories.paid_order(environment, total=5_000, currency="JPY")
    record(environment, of_sale(sale, amount=3_100, fee=120))
    assert entries() == [
        ("adjustment", 3_100, "EUR", False),
        ("fee", 120, "EUR", False),
        ("adjustment", -5_000, "JPY", True),
    ]
    assert balances(sale)["processor"] == 0
    assert_books(sale, paid=5_000, balance=0)
    leg = sale.payment_intents.get()
    shown = api.get(f"/v1/payment-intents/{leg.id}").data
    assert shown["processing_fee_money"] == {"amount": 120, "currency": "EUR"}
    assert shown["merchant_net_money"] == {"amount": 2_980, "currency": "EUR"}
    assert kinds_of(sale)[-1] == "payment.exchanged"


def test_a_payout_moves_forward_only(environment):
    actor = actors.processor(environment.id, "sandbox")
    state = PayoutState("po_1", "pending", eur(5_000), environment.id, created_at=timezone.now())

    def record_as(status, **facts):
        return record_payout(replace(state, status=status, **facts), processor="sandbox", actor=actor)

    for status in ("pending", "in_transit", "pending", "paid", "in_transit", "paid"):
        payout = record_as(status)
    assert payout.status == "paid"
    payout = record_as("failed", failure_code="", failure_message="Sent back.")
    assert (payout.status, payout.failure_code, payout.failure_message) == ("failed", "payout_failed", "Sent back.")
    assert record_as("paid").status == "failed"
    types = list(Event.objects.filter(subject_id=payout.id).order_by("id").values_list("type", flat=True))
    assert types == ["payout.created", "payout.updated", "payout.paid", "payout.failed"]
    with pytest.raises(DoesNotFit):
        record_payout(replace(state, money=eur(1)), processor="sandbox", actor=actor)


def test_a_payout_fetched_back_is_reversed(environment):
    actor = actors.processor(environment.id, "sandbox")
    state = PayoutState("po_1", "paid", eur(5_000), environment.id, created_at=timezone.now())
    record_payout(state, processor="sandbox", actor=actor)
    behind = {"source_kind": "payout", "source_reference": "po_1", "fee": 0}
    record(environment, told(environment, "btx_1", type="payout", amount=-5_000, **behind))
    record(environment, told(environment, "btx_2", type="payout_reversal", amount=5_000, **behind))
    assert entries() == [("payout", 5_000, "EUR", False), ("payout_returned", 5_000, "EUR", False)]
    assert Payout.objects.get().reversal_status == "reversed"


def test_a_payouts_movement_may_come_before_the_payout(environment):
    behind = {"source_kind": "payout", "source_reference": "po_1", "fee": 0}
    record(environment, told(environment, type="payout", amount=-5_000, **behind))
    assert entries() == [("payout", 5_000, "EUR", False)]
    state = PayoutState("po_1", "paid", eur(5_000), environment.id, created_at=timezone.now())
    payout = record_payout(state, processor="sandbox", actor=actors.processor(environment.id, "sandbox"))
    look_again(environment, at=timezone.now())
    movement = BalanceTransaction.objects.get()
    assert (movement.related_id, movement.is_explained) == (payout.id, True)
    assert entries() == [("payout", 5_000, "EUR", False)]


@pytest.mark.django_db(transaction=True)
def test_two_who_learn_the_same_at_once_book_it_once(environment, caplog):
    sale = stories.paid_order(environment, total=10_000)
    states = [of_sale(sale), told(environment, "btx_2", type="adjustment", amount=-50, fee=0)]

    results = at_once(
        lambda: record(environment, *states),
        lambda: record(environment, *reversed(states)),
        lambda: record(environment, states[0]),
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert "booking_failed" not in caplog.text
    look_again(environment, at=timezone.now())
    assert sorted(entries()) == [("adjustment", -50, "EUR", False), ("fee", 320, "EUR", True)]
    assert kinds_of(sale).count("payment.fee_charged") == 1
    assert Event.objects.filter(type="balance_transaction.created").count() == 2
    leg = PaymentIntent.objects.get(order=sale)
    assert (leg.processing_fee_amount, leg.merchant_net_amount) == (320, 9_680)


@pytest.mark.django_db(transaction=True)
def test_two_syncs_at_once_are_one(environment, caplog):
    sale = stories.paid_order(environment, total=10_000)
    at = later(minutes=1)
    results = at_once(*[lambda: sync_balance(environment.id, at=at)] * 3)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert "booking_failed" not in caplog.text
    assert entries() == [("fee", 320, "EUR", True)]
    assert_books(sale, paid=10_000)


@pytest.mark.django_db(transaction=True)
def test_a_refund_and_a_fee_at_once_both_count(environment):
    sale = stories.paid_order(environment, total=10_000)
    results = at_once(
        lambda: record(environment, of_sale(sale)),
        lambda: stories.refund(sale, amount_money=eur(2_500)),
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    look_again(environment, at=timezone.now())
    assert_books(sale, paid=10_000, refunded=2_500)
    assert balances(sale)["processing_fees"] == 320


def statements(environment, *states) -> int:
    with CaptureQueriesContext(connection) as captured:
        record(environment, *states)
    return len(captured)


def test_a_hundred_movements_take_few_statements(environment):
    """Each order has to be locked and told; everything else is done for all of them at once."""
    sales = [stories.paid_order(environment, total=1_000) for _ in range(12)]
    states = [of_sale(sale, f"btx_{n}", amount=1_000, fee=59) for n, sale in enumerate(sales)]
    two, ten = statements(environment, *states[:2]), statements(environment, *states[2:])
    each = (ten - two) // 8
    assert (ten - two) % 8 == 0
    assert each <= 9
    assert two - 2 * each <= 8
    again = statements(environment, *states)
    assert again <= 6
    others = [told(environment, f"adj_{n}", type="adjustment", amount=0, fee=0) for n in range(100)]
    assert statements(environment, *others) <= 10
    assert BalanceTransaction.objects.filter(is_explained=True).count() == 112


def test_an_order_that_cannot_be_booked_keeps_nobody_else_waiting(environment):
    sales = [stories.paid_order(environment) for _ in range(2)]
    for sale in sales:
        sale.payment_intents.get().operations.update(reference=f"hidden_{sale.id}")
    states = [
        told(environment, f"btx_{n}", source_kind="payment", source_reference=f"pay_{n}") for n in range(len(sales))
    ]
    blocked, _ = record(environment, *states)
    # Somebody wrote an entry by hand that stands in the way of the first.
    event = events.record_apart(environment.id, "test", subject=blocked, actor=actors.system(environment.id))
    ledger.post_apart(event, [ledger.Posting("fee", 1, blocked.id)], currency="EUR")
    for n, sale in enumerate(sales):
        sale.payment_intents.get().operations.update(reference=f"pay_{n}")
    look_again(environment, at=timezone.now())
    assert [sale.entries.filter(kind="fee").count() for sale in sales] == [0, 1]
    assert BalanceTransaction.objects.get(id=blocked.id).booked_at is None


def test_a_zero_fee_is_known_to_be_zero(environment, sale, api):
    assert "processing_fee_money" not in api.get(f"/v1/payment-intents/{sale.payment_intents.get().id}").data
    record(environment, of_sale(sale, fee=0))
    shown = api.get(f"/v1/payment-intents/{sale.payment_intents.get().id}").data
    assert shown["processing_fee_money"] == {"amount": 0, "currency": "EUR"}
    assert sale.payment_intents.get().merchant_net_money == Money(10_000, "EUR")
