"""The clock beside itself and beside people, on real PostgreSQL with real threads: one effect, and no deadlock."""

from functools import partial

import pytest

from flint.celery import collecting
from flint.events.models import Event
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur
from invoices.models import Invoice, InvoiceDelivery, InvoiceLateFee
from invoices.services import clock, fees, reminding
from invoices.services.manual import record_manual_payment
from invoices.services.voiding import void_invoice
from invoices.tests.asked import days, drafted, due_in_ten_days, fixed_fee, rules, settings
from orders.services import create_customer
from payments.models import PaymentAttempt
from payments.tests.acts import at_once, ended

ROUNDS = 20

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks(environment):
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    settings(environment, reminder_policy=rules(0, 1))
    with collecting() as collected:
        yield collected


def late(environment, number: int = ROUNDS, **data) -> list[Invoice]:
    """Invoices that the clock has looked at once, and that are late when it looks the next time."""
    invoices = [due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"), **data) for _ in range(number)]
    clock.sweep(at=days(0))
    return invoices


def looking(invoice: Invoice, at):
    return partial(clock.look, invoice.id, actor=actor_in(invoice.environment), at=at)


def count(invoice: Invoice, type: str) -> int:
    return Event.objects.filter(subject_id=invoice.id, type=type).count()


def test_two_beats_at_once(environment):
    invoices = late(environment)

    assert [result for result in at_once(*[partial(clock.sweep, at=days(15))] * 3) if not isinstance(result, int)] == []

    for invoice in invoices:
        facts = [count(invoice, f"invoice.{name}") for name in ("overdue", "late_fee_assessed", "reminder_due")]
        assert facts == [1, 1, 1]
        assert_books(invoice.order_id, total=10_500)
    assert InvoiceDelivery.objects.filter(delivery_type="reminder").count() == ROUNDS
    assert Message.objects.filter(kind="invoice_reminder").count() == ROUNDS


def test_two_looks_at_the_same_invoice(environment):
    for invoice in late(environment):
        assert at_once(looking(invoice, days(15)), looking(invoice, days(15))) == [None, None]

        assert (count(invoice, "invoice.overdue"), count(invoice, "invoice.reminder_due")) == (1, 1)
        assert InvoiceLateFee.objects.filter(invoice=invoice).count() == 1


def test_two_beats_issue_a_scheduled_invoice_once(environment):
    invoices = [drafted(environment, scheduled_send_at=days(1)) for _ in range(ROUNDS)]

    at_once(*[partial(clock.sweep, at=days(1))] * 3)

    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == list(range(1, ROUNDS + 1))
    assert [count(invoice, "invoice.issued") for invoice in invoices] == [1] * ROUNDS
    assert not Event.objects.filter(type="invoice.issue_failed").exists()


def test_two_beats_collect_once(environment):
    actor = actor_in(environment)
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=actor)
    method = stories.saved_card(customer)
    collection = {"mode": "automatic", "payment_method_id": method.id}
    invoices = [
        due_in_ten_days(environment, order={"customer_id": customer.id}, collection=collection) for _ in range(6)
    ]
    clock.sweep(at=days(0))

    for invoice in invoices:
        at_once(looking(invoice, days(10)), looking(invoice, days(10)))
        clock.sweep(at=days(10))

        assert PaymentAttempt.objects.filter(invoice=invoice).count() == 1
        assert_books(invoice.order_id, paid=10_000, outstanding=0)


def test_the_clock_beside_money_that_comes_in(environment):
    """Either the money was there first and nothing is late, or it was late and the fee is owed on top."""
    for invoice in late(environment):
        paying = partial(
            record_manual_payment, invoice_id=invoice.id, money=eur(10_000), actor=actor_in(invoice.environment)
        )
        ended(at_once(looking(invoice, days(15)), paying))

        is_late = count(invoice, "invoice.overdue")
        assert count(invoice, "invoice.late_fee_assessed") == is_late
        assert_books(invoice.order_id, paid=10_000, outstanding=500 * is_late)


def test_the_clock_beside_a_void(environment):
    for invoice in late(environment):
        ended(
            at_once(
                looking(invoice, days(15)),
                partial(void_invoice, invoice_id=invoice.id, actor=actor_in(invoice.environment)),
            )
        )

        assert Invoice.objects.get(id=invoice.id).status == "void"
        assert_books(invoice.order_id, total=10_000, is_under_invoice=False)


def test_two_assess_a_fee(environment):
    for invoice in [due_in_ten_days(environment, fee=fixed_fee(500)) for _ in range(ROUNDS)]:
        assess = partial(fees.assess_late_fee, invoice_id=invoice.id, actor=actor_in(environment), at=days(15))

        kept = ended(at_once(assess, assess), "INVOICE_LATE_FEE_NOT_DUE")

        assert len(kept) == 1
        assert_books(invoice.order_id, total=10_500)


def test_two_waive_a_fee_while_money_comes_in(environment):
    """What is paid of it stays paid, the rest is given up once."""
    for invoice in [due_in_ten_days(environment, fee=fixed_fee(500)) for _ in range(ROUNDS)]:
        actor = actor_in(environment)
        fees.assess_late_fee(invoice_id=invoice.id, actor=actor, at=days(15))
        fee = InvoiceLateFee.objects.get(invoice=invoice)
        waive = partial(
            fees.waive_late_fee, invoice_id=invoice.id, late_fee_id=fee.id, reason_message="Friend", actor=actor
        )
        paying = partial(record_manual_payment, invoice_id=invoice.id, money=eur(10_200), actor=actor)

        ended(at_once(waive, waive, paying), "INVOICE_LATE_FEE_NOT_COLLECTIBLE", "AMOUNT_EXCEEDS_BALANCE")

        fee.refresh_from_db()
        paid = Invoice.objects.get(id=invoice.id).order.paid_amount
        assert (paid, fee.waived_amount) in [(0, 500), (10_200, 300)]
        assert_books(invoice.order_id, total=10_500 - fee.waived_amount, paid=paid)


def test_two_remind(environment):
    for invoice in [due_in_ten_days(environment) for _ in range(ROUNDS)]:
        remind = partial(reminding.send_reminder, invoice_id=invoice.id, actor=actor_in(environment))

        kept = ended(at_once(remind, remind), "INVOICE_REMINDER_RATE_LIMITED")

        assert len(kept) == 1
        assert InvoiceDelivery.objects.filter(invoice=invoice, delivery_type="reminder").count() == 1
