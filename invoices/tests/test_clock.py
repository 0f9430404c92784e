"""The clock: what it issues, tells and collects; once, however often and by however many it beats; and at what cost."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import metrics
from flint.celery import collecting
from flint.events.models import Event
from flint.testing import stories
from flint.testing.books import assert_books
from invoices.models import Invoice, InvoiceDelivery, NumberSeries
from invoices.services import autopay, clock, drafting
from invoices.services.manual import reverse_manual_payment
from invoices.tests.asked import (
    days,
    drafted,
    due_in_ten_days,
    fixed_fee,
    issued,
    pay,
    rules,
    settings,
    subjects,
    tick,
    told,
)
from orders.models import Order
from orders.services import create_customer
from orders.services.line_items import add_line_items
from payments import services as payments
from payments.models import PaymentAttempt
from refunds.tests.disputing import bank, dispute


@pytest.fixture(autouse=True)
def chosen(environment):
    settings(environment, reminder_policy=rules(-3, 1), autopay_retry_policy={"retry_day_offsets": [1, 3]})


# Scheduled issue


def test_a_draft_is_issued_when_its_time_comes(environment):
    invoice = drafted(environment, scheduled_send_at=days(3, hour=8))

    tick(days(3, hour=7, minute=59))
    assert Invoice.objects.get().status == "draft"
    tick(days(3, hour=8))

    invoice.refresh_from_db()
    assert (invoice.status, invoice.number, invoice.issued_at) == ("open", "INV-000001", days(3, hour=8))
    assert told(invoice, "invoice.issued", "invoice.sent", "invoice.delivery_succeeded") == [
        "invoice.issued",
        "invoice.sent",
        "invoice.delivery_succeeded",
    ]
    assert subjects() == ["Invoice INV-000001 from Corner Shop Ltd: €100.00"]


def test_one_that_cannot_be_issued_stays_a_draft_and_says_why_once(environment):
    invoice = drafted(environment, scheduled_send_at=days(3))
    order = invoice.order
    stories.pay(order)

    for day in range(3, 8):
        tick(days(day))

    invoice.refresh_from_db()
    assert (invoice.status, invoice.issue_error) == ("draft", "ORDER_ALREADY_PAID")
    [event] = Event.objects.filter(type="invoice.issue_failed")
    assert event.data["error_code"] == "ORDER_ALREADY_PAID"
    assert not NumberSeries.objects.filter(last__gt=0).exists()
    assert_books(order, paid=10_000)


def test_it_is_tried_again_once_it_was_put_right(environment):
    invoice = drafted(environment, scheduled_send_at=days(3), recipient_email="", order={})
    tick(days(3))
    assert Invoice.objects.get().issue_error == "RECIPIENT_EMAIL_REQUIRED"

    drafting.update_invoice(
        invoice_id=invoice.id,
        data={"recipient_email": "ada@buyer.example"},
        actor=stories.actor_in(environment),
        at=days(4),
    )
    tick(days(4))

    assert (Invoice.objects.get().status, Invoice.objects.get().issue_error) == ("open", "")


def test_what_was_added_since_is_billed_when_it_is_issued(environment):
    invoice = drafted(environment, scheduled_send_at=days(3))
    actor = stories.actor_in(environment)
    add_line_items(order_id=invoice.order_id, line_items=[stories.line(500)], actor=actor)

    tick(days(3))

    assert Invoice.objects.get().total_amount == 10_500


# Downtime and repeats


def test_after_three_days_without_a_beat_each_fact_is_told_once(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, grace=1, mode="automatic"))
    tick(days(8))

    tick(days(13))
    tick(days(13))

    assert told(invoice, "invoice.overdue", "invoice.late_fee_assessed", "invoice.reminder_due") == [
        "invoice.reminder_due",
        "invoice.overdue",
        "invoice.late_fee_assessed",
        "invoice.reminder_due",
    ]
    assert InvoiceDelivery.objects.filter(delivery_type="reminder").count() == 2
    assert_books(invoice.order_id, total=10_500)


def test_overdue_is_told_again_only_for_another_due_date(environment):
    invoice = due_in_ten_days(environment)
    tick(days(11))
    pay(invoice, 10_000)
    reverse_manual_payment(
        invoice_id=invoice.id, money=stories.eur(10_000), actor=stories.actor_in(environment), at=days(12)
    )
    tick(days(12))
    tick(days(30))

    assert told(invoice, "invoice.overdue") == ["invoice.overdue"]
    assert Invoice.objects.get().next_action_at is None


def test_what_comes_to_be_owed_again_is_reminded_of_again(environment):
    invoice = due_in_ten_days(environment)
    tick(days(5))
    pay(invoice, 10_000)
    tick(days(6))
    reverse_manual_payment(
        invoice_id=invoice.id, money=stories.eur(10_000), actor=stories.actor_in(environment), at=days(6)
    )

    tick(days(6))
    tick(days(7))

    assert told(invoice, "invoice.reminder_due") == ["invoice.reminder_due"]


def test_one_that_something_is_wrong_with_keeps_no_other_waiting(environment, caplog):
    broken = due_in_ten_days(environment)
    fine = [due_in_ten_days(environment) for _ in range(3)]
    # No such zone: whatever asks for its days fails.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE invoices_invoice SET timezone = 'Nowhere/Never' WHERE id = %s", [broken.id])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    with collecting():
        assert clock.sweep(at=days(11)) == 4

    for invoice in fine:
        assert told(invoice, "invoice.overdue") == ["invoice.overdue"]
    assert told(broken, "invoice.overdue") == []
    assert Invoice.objects.get(id=broken.id).next_action_at == days(11) + clock.POSTPONED
    with collecting():
        assert clock.sweep(at=days(11)) == 0


# Collecting by itself


def automatic(environment, token: str = "pm_card_visa") -> Invoice:
    actor = stories.actor_in(environment)
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=actor)
    method = stories.saved_card(customer, token=token)
    return due_in_ten_days(
        environment,
        order={"customer_id": customer.id},
        collection={"mode": "automatic", "payment_method_id": method.id},
    )


def test_it_is_collected_on_the_morning_it_is_due(environment):
    invoice = automatic(environment)

    tick(days(10, hour=8, minute=59))
    assert not PaymentAttempt.objects.exists()
    tick(days(10, hour=9))
    tick(days(10, hour=9))

    assert Invoice.objects.get().status == "paid"
    assert PaymentAttempt.objects.count() == 1
    assert_books(invoice.order_id, paid=10_000, outstanding=0)


def test_a_declined_card_is_tried_again_on_the_days_of_the_policy(environment):
    invoice = automatic(environment, "pm_card_chargeCustomerFail")

    tries = {}
    for day in range(10, 20):
        tick(days(day, hour=9))
        tick(days(day, hour=23))
        tries[day] = PaymentAttempt.objects.count()

    assert [tries[day] for day in range(10, 16)] == [1, 2, 2, 3, 3, 3]
    assert tries[19] == 3
    assert_books(invoice.order_id, paid=0, outstanding=10_000)


def test_tries_that_were_missed_are_one(environment):
    automatic(environment, "pm_card_chargeCustomerFail")
    tick(days(0))

    tick(days(12))
    tick(days(12))
    assert PaymentAttempt.objects.count() == 1
    tick(days(13))
    assert PaymentAttempt.objects.count() == 2


def test_a_worker_that_dies_after_the_charge_does_not_charge_again(environment):
    invoice = automatic(environment)
    tick(days(0))

    # What a worker does that is killed before it can count the try.
    assert autopay.collect_due(invoice.id, None, number=0, at=days(10)) == "paid"
    Invoice.objects.filter(id=invoice.id).update(next_action_at=days(10))
    tick(days(10))
    tick(days(11))

    assert PaymentAttempt.objects.count() == 1
    assert_books(invoice.order_id, paid=10_000)


def test_what_is_owed_again_long_after_is_not_charged_by_itself(environment):
    invoice = automatic(environment)
    tick(days(10))
    assert Invoice.objects.get().status == "paid"
    stories.refund(invoice.order, amount_money=stories.eur(4_000), balance_effect="reopen")

    for day in range(10, 30):
        tick(days(day))

    assert PaymentAttempt.objects.count() == 1
    assert told(invoice, "invoice.overdue") == ["invoice.overdue"]
    assert_books(invoice.order_id, paid=10_000, refunded=4_000, outstanding=4_000)


def test_what_was_settled_for_a_while_is_still_collected_when_it_is_due(environment):
    invoice = automatic(environment)
    tick(days(1))
    pay(invoice, 10_000)
    tick(days(2))
    reverse_manual_payment(
        invoice_id=invoice.id, money=stories.eur(10_000), actor=stories.actor_in(environment), at=days(3)
    )

    tick(days(3))
    tick(days(10))

    assert Invoice.objects.get().status == "paid"
    assert PaymentAttempt.objects.count() == 1


def test_a_fee_is_not_charged_by_itself_on_what_was_paid_in_time(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"))
    tick(days(5))
    pay(invoice, 10_000)
    tick(days(6))
    reverse_manual_payment(
        invoice_id=invoice.id, money=stories.eur(10_000), actor=stories.actor_in(environment), at=days(20)
    )

    for day in range(20, 30):
        tick(days(day))

    assert_books(invoice.order_id, total=10_000, outstanding=10_000)


def test_a_fee_is_charged_on_what_was_paid_for_a_while_before_it_was_due(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"))
    tick(days(5))
    pay(invoice, 10_000)
    tick(days(6))
    reverse_manual_payment(
        invoice_id=invoice.id, money=stories.eur(10_000), actor=stories.actor_in(environment), at=days(7)
    )

    for day in range(7, 30):
        tick(days(day))

    assert_books(invoice.order_id, total=10_500, outstanding=10_500)


def test_nobody_is_asked_for_what_a_dispute_took_back_until_staff_decide(environment):
    invoice = automatic(environment)
    tick(days(10))
    bank(dispute(Order.objects.get(id=invoice.order_id)), "lose")
    assert Order.objects.get(id=invoice.order_id).is_collection_blocked

    for day in range(10, 40):
        tick(days(day))

    assert PaymentAttempt.objects.count() == 1
    assert told(invoice, "invoice.overdue", "invoice.reminder_due") == []
    assert not InvoiceDelivery.objects.filter(delivery_type="reminder").exists()


def test_d027_no_second_charge_while_a_bank_debit_is_on_its_way(environment):
    invoice = automatic(environment)
    tick(days(0))
    debit = {"action": "pay", "payment_source": {"token": "pm_usBankAccount_processing"}, "invoice_id": invoice.id}
    payments.pay(order_id=invoice.order_id, data=debit, actor=stories.actor_in(environment))

    for day in range(10, 16):
        tick(days(day))
        tick(days(day, hour=12))

    [attempt] = PaymentAttempt.objects.all()
    assert attempt.is_open
    assert_books(invoice.order_id, paid=0, outstanding=10_000)


def test_d090_goods_that_came_back_are_nothing_to_remind_of(environment):
    invoice = automatic(environment)
    tick(days(6))
    tick(days(10))
    stories.refund(invoice.order, amount_money=stories.eur(4_000))

    for day in range(10, 40):
        tick(days(day))

    assert_books(invoice.order_id, paid=10_000, refunded=4_000, outstanding=0)
    assert told(invoice, "invoice.overdue") == []
    assert not InvoiceDelivery.objects.filter(delivery_type="reminder").exists()


# What waits, and what it costs


def test_the_metrics_tell_what_waits(environment):
    issued(environment, at=timezone.now() - timedelta(minutes=10))
    drafted(environment, scheduled_send_at=timezone.now() + timedelta(days=1), at=timezone.now())

    metrics._load()
    found = {metric.name: metric for metric in metrics.Shared().collect()}

    assert [(s.labels, s.value) for s in found["flint_invoices_waiting"].samples] == [({"status": "open"}, 1)]
    assert 599 < found["flint_invoices_oldest_waiting_seconds"].samples[0].value < 700


def statements(run) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        run()
    return len(queries)


def test_a_look_costs_the_same_however_many_wait(environment):
    for _ in range(3):
        due_in_ten_days(environment)
    with collecting():
        clock.sweep(at=days(0))
        few = statements(lambda: clock.sweep(at=days(11)))
        for _ in range(12):
            due_in_ten_days(environment)
        clock.sweep(at=days(0))
        Invoice.objects.filter(next_action_at__gt=days(11)).update(next_action_at=None)
        many = statements(lambda: clock.sweep(at=days(11)))

    assert many - few == 9 * (few - 1) // 3
    assert (few - 1) // 3 <= 30
