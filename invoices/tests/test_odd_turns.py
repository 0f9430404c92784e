"""What becomes of invoices when things happen in an order that nobody has in mind: refused in words, books even."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.services import fees
from invoices.tests.asked import days, due_in_ten_days, fixed_fee, settings, tick, told
from invoices.tests.asking import act, by_hand, issued
from invoices.tests.crediting import pay_invoice
from orders.models import Order
from orders.services import close_order, create_customer, manual_payments
from orders.tests.sales import create, line, nothing_moves, refused
from payments import services as payments
from payments.api.invoices.outputs import actions_of
from payments.services.invoices.charging import collect_invoice
from payments.services.invoices.launching import open_checkout
from payments.services.sessions.credentials import buyer_of
from refunds.services import disputes
from refunds.tests.disputing import bank, dispute


def test_what_was_paid_before_a_write_off_and_is_owed_again_is_billed_by_no_further_invoice(api, environment):
    order = stories.open_order(environment, total=10_000)
    shown = api.get(f"/v1/orders/{order.id}").data
    actor = stories.actor_in(environment)
    leg = payments.create_leg(order_id=order.id, data={"amount_money": eur(4_000)}, actor=actor)
    data = {
        "action": "confirm_payment_intents",
        "completion_behavior": "partial_payment",
        "payment_intents": [{"payment_intent_id": leg.id, "token": "pm_card_visa"}],
    }
    stories.as_it_turns_out(payments.pay(order_id=order.id, data=data, actor=actor))
    invoice = issued(api, shown)
    assert act(api, invoice, "mark-uncollectible").status_code == 200
    stories.refund(Order.objects.get(id=order.id), amount_money=eur(4_000), balance_effect="reopen")
    assert_books(order.id, outstanding=4_000)

    with nothing_moves():
        response = api.post("/v1/invoices", {"order_id": order.id})

    refused(response, "ORDER_ALREADY_BILLED", status=409)


def test_what_was_recorded_by_hand_is_taken_back_once(api, environment):
    invoice = issued(api)
    by_hand(api, invoice, 10_000)
    actor = stories.actor_in(environment)
    manual_payments.reverse_manual_payment(order_id=invoice["order_id"], money=eur(6_000), actor=actor)

    with nothing_moves():
        response = act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(4_001))})

    refused(response, "REVERSAL_EXCEEDS_MANUAL_PAYMENTS", param="amount_money")
    assert response.error["maximum_money"] == wire(eur(4_000))


def test_a_late_fee_that_was_credited_is_not_waived_once_more(environment):
    settings(environment)
    actor = stories.actor_in(environment)
    invoice = due_in_ten_days(environment, fee=fixed_fee(500), mode="caller_managed")
    fees.assess_late_fee(invoice_id=invoice.id, actor=actor, at=days(20))
    pay_invoice({"order_id": invoice.order_id, "invoice_id": invoice.id})
    order = Order.objects.get(id=invoice.order_id)
    [fee] = invoice.late_fees.all()
    stories.refund(order, charges=[{"order_charge_id": fee.charge_id}])
    stories.refund(order, amount_money=eur(10_000), balance_effect="reopen")
    assert_books(order.id, outstanding=10_000)

    with nothing_moves(), pytest.raises(fees.InvoiceLateFeeNotCollectible):
        fees.waive_late_fee(invoice_id=invoice.id, late_fee_id=fee.id, reason_message="Kind", actor=actor, at=days(21))


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_days_that_cannot_be_counted_from_are_refused(api, moment):
    order = create(api, line(10_000))

    with nothing_moves():
        due = api.post(
            "/v1/invoices", {"order_id": order["order_id"], "payment_due": {"type": "absolute", "due_at": moment}}
        )
        served = api.post("/v1/invoices", {"order_id": order["order_id"], "service_at": moment})

    refused(due, "INVALID_TIMESTAMP", param="payment_due.due_at")
    refused(served, "INVALID_TIMESTAMP", param="service_at")


def test_what_a_buyer_prepared_and_left_keeps_nobody_from_collecting_the_invoice(environment):
    """Or a buyer who would rather not be charged had only to open the checkout and split the payment."""
    actor = stories.actor_in(environment)
    customer = create_customer(data={"name": "Ada", "email": "ada@example.com"}, actor=actor)
    card = stories.saved_card(customer)
    order = stories.open_order(environment, customer_id=customer.id)
    invoice = stories.issued_invoice(order).invoice
    session = open_checkout(invoice_id=invoice.id, data={}, actor=actor).session
    buyer = buyer_of(session, at=timezone.now())
    leg = payments.create_leg(order_id=order.id, data={"amount_money": eur(1_000)}, actor=buyer)

    collect_invoice(invoice_id=invoice.id, data={"payment_method_id": card.id}, actor=actor)

    assert_books(order.id, paid=10_000, outstanding=0)
    leg.refresh_from_db()
    assert leg.status == "canceled"


def test_what_is_owed_again_on_a_closed_order_is_asked_for_by_no_clock(environment):
    """Nothing can be collected on it any more, so that no fee is charged, nobody is reminded, and nothing breaks."""
    settings(environment)
    actor = stories.actor_in(environment)
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"), mode="caller_managed")
    pay_invoice({"order_id": invoice.order_id, "invoice_id": invoice.id})
    order = Order.objects.get(id=invoice.order_id)
    close_order(order_id=order.id, actor=actor)
    lost = bank(dispute(order), "lose")
    disputes.collect_again(dispute_id=lost.id, reason="Ask anew", actor=actor)
    later = timezone.now() + timedelta(days=30)

    tick(later)

    invoice.refresh_from_db()
    assert invoice.is_asking and invoice.next_action_at == later + timedelta(days=1)
    assert not told(invoice, "invoice.overdue", "invoice.reminder_due", "invoice.late_fee_assessed")
    [action] = actions_of(invoice)
    assert (action["is_available"], action["unavailable_reason"]) == (False, "order_closed")
