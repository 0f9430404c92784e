from datetime import timedelta
from django.utils import timezone
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import line

def test_paid(environment):
    order = stories.paid_order(environment, line(1000, quantity=3), line(599))
    assert_books(order, total=3599, paid=3599, balance=0, payment_status="paid")
    r = stories.refund(order)
    assert r.status == "succeeded"
    assert_books(order, refunded=3599, credit=3599, balance=0, refund_status="refunded", refund_pending=0)

def test_declined(environment):
    order = stories.open_order(environment)
    paid = stories.pay(order, token="pm_card_chargeDeclined")
    assert paid.attempt.status == "failed", paid.attempt.status
    assert_books(order, paid=0, payment_status="unpaid")
    paid = stories.pay(order)
    assert paid.attempt.status == "succeeded"
    assert_books(order, paid=10000, payment_status="paid")

def test_threeds(environment):
    order = stories.open_order(environment)
    paid = stories.pay(order, token="pm_card_threeDSecure2Required")
    assert paid.attempt.status == "requires_action"

def test_hold(environment):
    order = stories.held_order(environment)
    from payments import services
    leg = order.payment_intents.get()
    assert leg.status == "requires_capture"
    c = services.capture(order_id=order.id, payment_intent_id=leg.id, data={"amount_money": stories.eur(4000), "order_payment_attempt_id": order.active_attempt_id}, actor=stories.actor_in(environment))
    assert c.payment_intent.status == "succeeded" and c.attempt.status == "succeeded"
    assert_books(order, paid=4000, outstanding=6000, payment_status="partially_paid")
    stories.deliver_notices(environment)
    assert_books(order, paid=4000)

def test_notices(environment):
    order = stories.paid_order(environment)
    assert stories.deliver_notices(environment) > 0
    from payments.models import ProcessorNotice
    assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"handled"}
    assert_books(order, paid=10000)
    stories.refund(order, amount_money=stories.eur(2500))
    stories.time_passes(environment, timezone.now() + timedelta(days=1))
    assert_books(order, refunded=2500, credit=2500, balance=0)
