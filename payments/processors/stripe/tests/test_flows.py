"""Flint's own verbs on an environment that collects through Stripe: the same order, the same books, one charge."""

import pytest
from django.test import Client
from django.utils import timezone

from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stories import eur
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from flint.testing.stripe_server.webhooks import body_of, sign
from payments import inbound
from payments.models import PaymentAttempt, PaymentIntent, PaymentOperation, ProcessorNotice
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.shop import (
    assert_same_books,
    drop_notices,
    hear,
    later,
    reference_of,
)
from payments.tests import acts

pytestmark = pytest.mark.django_db

DAYS = 24 * 3600


@pytest.fixture
def shop(stripe_environment):
    """A client of the environment that collects through Stripe."""
    return client_of(stripe_environment)


@pytest.fixture
def order(stripe_environment):
    """An order of 100 euros that nobody has paid."""
    return stories.open_order(stripe_environment)


def attempt_status(order) -> str:
    return PaymentAttempt.objects.filter(order=order).latest("created_at").status


def charges(server) -> list[int]:
    return [charge["amount_captured"] for charge in server.book.charges()]


# Paying


def test_an_approved_card_pays_the_order_once(shop, stripe_server, order):
    paid = acts.pay(shop, order)

    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert_same_books(stripe_server, order, paid=10_000, outstanding=0, payment_status="paid")
    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=10_000)
    assert charges(stripe_server) == [10_000]


def test_what_was_paid_with_is_shown(shop, stripe_server, order):
    acts.pay(shop, order, "pm_card_amex")

    leg = PaymentIntent.objects.get(order=order)
    assert (leg.processor, leg.source_type, leg.source_brand, leg.source_last4) == ("stripe", "card", "amex", "8431")


def test_a_declined_card_leaves_the_order_unpaid_and_another_pays_it(shop, stripe_server, order):
    declined = acts.pay(shop, order, "pm_card_visa_chargeDeclinedInsufficientFunds")

    attempt = declined.data["payment_attempt"]
    assert (attempt["status"], attempt["failure_code"]) == ("failed", "insufficient_funds")
    assert attempt["payment_intents"][0]["last_payment_error"]["code"] == "insufficient_funds"
    assert_same_books(stripe_server, order, paid=0, outstanding=10_000)

    assert acts.pay(shop, order).data["payment_attempt"]["status"] == "succeeded"
    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=10_000)
    assert len(stripe_server.book.payments) == 2
    assert charges(stripe_server) == [10_000]


@pytest.mark.parametrize("learned", ["resume", "notice", "sweep"])
@pytest.mark.parametrize("passed", [True, False])
def test_a_buyer_authenticates_and_it_is_learned_in_every_way(shop, stripe_server, order, learned, passed):
    waiting = acts.pay(shop, order, "pm_card_threeDSecure2Required")
    assert waiting.data["payment_attempt"]["status"] == "requires_action"
    (step,) = waiting.data["payment_attempt"]["pending_actions"]
    assert step["client_action"]["stripe"]["publishable_key"] == stripe_server.publishable_key
    assert acts.secret_of(waiting).startswith(f"{reference_of(order)}_secret_")
    drop_notices(stripe_server)
    stripe_server.authenticate(reference_of(order), passed=passed)

    match learned:
        case "resume":
            acts.resume(shop, order, acts.attempt_of(waiting))
        case "notice":
            assert set(hear(stripe_server)) == {"handled"}
        case "sweep":
            stories.sweep(at=later(minutes=2))

    assert attempt_status(order) == ("succeeded" if passed else "failed")
    assert_same_books(stripe_server, order, paid=10_000 if passed else 0)
    if not passed:
        assert PaymentIntent.objects.get(order=order).error_code == "authentication_required"


@pytest.mark.parametrize("learned", ["notice", "sweep"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("success", "succeeded", ""), ("insufficientFunds", "failed", "insufficient_funds")],
)
def test_a_bank_debit_ends_days_later(shop, stripe_server, stripe_environment, learned, name, status, code):
    order = stories.open_order(stripe_environment, currency="USD")
    acts.pay(shop, order, f"pm_usBankAccount_{name}")
    assert attempt_status(order) == "processing"
    drop_notices(stripe_server)

    stripe_server.advance(5 * DAYS)
    if learned == "notice":
        assert set(hear(stripe_server)) == {"handled"}
    else:
        stories.sweep(at=later(days=5))

    assert attempt_status(order) == status
    assert PaymentAttempt.objects.get(order=order).failure_code == code
    assert_same_books(stripe_server, order, paid=0 if code else 10_000)


# Holds


@pytest.mark.parametrize("amount", [10_000, 6_000])
def test_a_hold_is_captured_in_whole_or_in_part(shop, stripe_server, order, amount):
    leg, attempt = acts.hold(shop, order)
    assert PaymentIntent.objects.get(id=leg).authorization_expires_at > later(days=6)
    assert charges(stripe_server) == []

    captured = acts.capture(shop, order, leg, attempt, amount)

    assert captured.data["payment_intent"]["status"] == "succeeded"
    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=amount, outstanding=10_000 - amount)
    assert PaymentIntent.objects.get(id=leg).released_amount == 10_000 - amount
    assert charges(stripe_server) == [amount]


def test_a_hold_is_let_go(shop, stripe_server, order):
    leg, attempt = acts.hold(shop, order)

    assert acts.cancel(shop, order, leg, attempt).data["payment_intent"]["status"] == "canceled"

    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=0, outstanding=10_000)
    assert acts.pay(shop, order).data["payment_attempt"]["status"] == "succeeded"


def test_an_attempt_that_waits_for_the_buyer_is_called_off(shop, stripe_server, order):
    waiting = acts.pay(shop, order, "pm_card_threeDSecure2Required")

    acts.cancel_attempt(shop, order, acts.attempt_of(waiting))

    assert attempt_status(order) == "canceled"
    stripe_server.authenticate(reference_of(order), passed=True)
    assert_same_books(stripe_server, order, paid=0)


@pytest.mark.parametrize("learned", ["notice", "sweep"])
def test_a_hold_that_lapses_has_expired(shop, stripe_server, order, learned):
    leg, _ = acts.hold(shop, order)
    drop_notices(stripe_server)

    stripe_server.advance(8 * DAYS)
    if learned == "notice":
        assert set(hear(stripe_server)) == {"handled"}
    else:
        stories.sweep(at=later(days=8))

    assert PaymentIntent.objects.get(id=leg).status == "expired"
    assert attempt_status(order) == "expired"


def test_a_capture_in_stripes_dashboard_is_learned_from_a_notice(shop, stripe_server, order):
    acts.hold(shop, order)

    stripe_server.book.capture_intent(
        stripe_server.book.find_payment(reference_of(order)), {"amount_to_capture": 4_000}
    )

    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=4_000)


# Refunds


@pytest.mark.parametrize("amount", [10_000, 4_000])
def test_a_refund_goes_back(shop, stripe_server, order, amount):
    acts.pay(shop, order)

    refund = stories.refund(order, amount_money=eur(amount), reason="duplicate")

    assert refund.status == "succeeded"
    assert set(hear(stripe_server)) == {"handled"}
    assert_same_books(stripe_server, order, paid=10_000, refunded=amount, refund_pending=0)


@pytest.mark.parametrize("learned", ["notice", "sweep"])
def test_a_refund_that_fails_later_is_taken_back(shop, stripe_server, order, learned):
    acts.pay(shop, order, "pm_card_refundFail")
    refund = stories.refund(order, amount_money=eur(4_000))
    assert_same_books(stripe_server, order, refunded=4_000)
    drop_notices(stripe_server)

    stripe_server.advance(5 * DAYS)
    if learned == "notice":
        assert set(hear(stripe_server)) == {"handled"}
    else:
        stories.sweep(at=later(days=5))

    refund.refresh_from_db()
    assert (refund.status, refund.failure_reason) == ("failed", "expired_or_canceled_card")
    assert_same_books(stripe_server, order, paid=10_000, refunded=0, refund_pending=0)


@pytest.mark.parametrize("learned", ["notice", "sweep"])
def test_a_refund_that_takes_days_is_reserved_until_then(shop, stripe_server, order, learned):
    acts.pay(shop, order, "pm_card_pendingRefund")
    refund = stories.refund(order, amount_money=eur(4_000))
    assert refund.status == "pending"
    assert_same_books(stripe_server, order, refunded=0, refund_pending=4_000)
    drop_notices(stripe_server)

    stripe_server.advance(5 * DAYS)
    if learned == "notice":
        assert set(hear(stripe_server)) == {"handled"}
    else:
        stories.sweep(at=later(days=5))

    assert_same_books(stripe_server, order, refunded=4_000, refund_pending=0)


def test_a_refund_that_stripe_refuses_is_free_again(shop, stripe_server, order):
    acts.pay(shop, order)
    stripe_server.faults.plan(on="refund", fault="error", status=400, code="insufficient_funds")

    refund = stories.refund(order)

    assert (refund.status, refund.failure_reason) == ("failed", "insufficient_available_balance")
    assert_same_books(stripe_server, order, paid=10_000, refunded=0, refund_pending=0)


# Misfortune


@pytest.mark.parametrize("fault", [{"fault": "lose_answer"}, {"fault": "error", "status": 500, "after": True}])
@pytest.mark.parametrize("learned", ["sweep", "notice", "resume", "repeat"])
def test_a_lost_answer_is_settled_by_asking_with_exactly_one_charge(shop, stripe_server, order, fault, learned):
    stripe_server.faults.plan(on="confirm", **fault)
    unknown = acts.pay(shop, order, key="key-1")
    assert unknown.data["payment_attempt"]["status"] == "processing"
    assert_books_are_empty(order)

    match learned:
        case "sweep":
            drop_notices(stripe_server)
            stories.sweep(at=later(minutes=2))
        case "notice":
            assert set(hear(stripe_server)) == {"handled"}
        case "resume":
            acts.resume(shop, order, acts.attempt_of(unknown))
        case "repeat":
            acts.pay(shop, order)  # with a key of its own: it finds the order paid

    assert_same_books(stripe_server, order, paid=10_000, outstanding=0)
    assert charges(stripe_server) == [10_000]
    assert len(stripe_server.moves()) == 1
    hear(stripe_server)
    assert_same_books(stripe_server, order, paid=10_000)


def assert_books_are_empty(order) -> None:
    order.refresh_from_db()
    assert (order.paid_amount, order.payment_status) == (0, "unpaid")


def test_a_call_that_never_arrived_is_given_up_and_paid_anew_once(shop, stripe_server, order):
    stripe_server.faults.plan(on="confirm", fault="drop")
    acts.pay(shop, order)
    stories.sweep(at=later(minutes=2))
    assert attempt_status(order) == "processing"

    stories.sweep(at=later(minutes=11))

    attempt = PaymentAttempt.objects.get(order=order)
    assert (attempt.status, attempt.failure_code) == ("failed", "payment_confirm_outcome_unknown")
    acts.pay(shop, order)
    assert_same_books(stripe_server, order, paid=10_000)
    assert charges(stripe_server) == [10_000]


def test_a_lost_answer_to_a_decline_is_a_decline(shop, stripe_server, order):
    stripe_server.faults.plan(on="confirm", fault="lose_answer")
    acts.pay(shop, order, "pm_card_chargeDeclined")

    stories.sweep(at=later(minutes=2))

    assert PaymentAttempt.objects.get(order=order).failure_code == "card_declined"


def test_a_lost_answer_to_a_capture_is_settled_by_the_sweep(shop, stripe_server, order):
    leg, attempt = acts.hold(shop, order)
    stripe_server.faults.plan(on="capture", fault="lose_answer")
    acts.capture(shop, order, leg, attempt, 6_000)
    drop_notices(stripe_server)

    stories.sweep(at=later(minutes=2))

    assert_same_books(stripe_server, order, paid=6_000)
    assert charges(stripe_server) == [6_000]
    assert not PaymentOperation.objects.filter(answered_at__isnull=True).exists()


@pytest.mark.parametrize("fault", [{"fault": "lose_answer"}, {"fault": "drop"}, {"fault": "error", "status": 503}])
def test_a_refund_without_an_answer_goes_back_exactly_once(shop, stripe_server, order, fault):
    acts.pay(shop, order)
    stripe_server.faults.plan(on="refund", **fault)
    stories.refund(order, amount_money=eur(4_000))
    drop_notices(stripe_server)

    # What was never carried out is sent again under the same key; an error that Stripe remembered, after a day.
    for minutes in (2, 15):
        stories.sweep(at=later(minutes=minutes))
    stripe_server.advance(25 * 3600)
    for hours in (26, 40):
        stories.sweep(at=later(hours=hours))

    assert_same_books(stripe_server, order, refunded=4_000, refund_pending=0)
    assert len(stripe_server.book.refunds) == 1


def test_an_outage_delays_and_doubles_nothing(shop, stripe_server, stripe_environment):
    orders = [stories.open_order(stripe_environment) for _ in range(3)]
    paid_before = stories.paid_order(stripe_environment)
    stripe_server.faults.plan(on="any", fault="error", status=503, times=None)
    for order in orders:
        acts.pay(shop, order)
    stories.refund(paid_before, amount_money=eur(1_000))
    stories.sweep(at=later(minutes=2))
    assert {attempt_status(order) for order in orders} == {"processing"}
    assert charges(stripe_server) == [10_000]

    stripe_server.faults.clear()
    stripe_server.advance(25 * 3600)
    for hours in (26, 40):
        stories.sweep(at=later(hours=hours))

    for order in orders:
        assert attempt_status(order) == "failed"
        acts.pay(shop, order)
        assert_same_books(stripe_server, order, paid=10_000)
    assert_same_books(stripe_server, paid_before, refunded=1_000, refund_pending=0)
    assert charges(stripe_server) == [10_000] * 4
    assert len(stripe_server.book.refunds) == 1


def test_keys_that_stop_working_decline_nothing_for_good(shop, stripe_server, stripe_environment, order):
    paid = stories.paid_order(stripe_environment)
    stripe_server.faults.plan(on="any", fault="error", status=401, times=None)

    acts.pay(shop, order)
    refund = stories.refund(paid)

    assert PaymentAttempt.objects.get(order=order).failure_code == "payment_method_temporarily_unavailable"
    assert refund.status == "pending"
    stripe_server.faults.clear()
    stories.sweep(at=later(minutes=2))
    assert_same_books(stripe_server, paid, refunded=10_000)
    acts.pay(shop, order)
    assert_same_books(stripe_server, order, paid=10_000)


# Notices


def test_a_notice_comes_over_http_once(shop, stripe_server, stripe_environment, order):
    acts.pay(shop, order)
    event = next(event for event in stripe_server.account.webhooks.events if event["type"].endswith("succeeded"))
    body = body_of(event)
    url = f"/notices/stripe/{stripe_environment.id}"

    def post(body, secret=WEBHOOK_SECRET):
        signature = sign(body, [secret], int(timezone.now().timestamp()))
        return (
            Client()
            .post(url, body, content_type="application/json", headers={"Stripe-Signature": signature})
            .status_code
        )

    assert [post(body), post(body), post(body, "whsec_other"), post(b"{}")] == [200, 200, 400, 400]
    assert ProcessorNotice.objects.count() == 1


@pytest.mark.parametrize("order_of", [list, lambda events: events[::-1], lambda events: events * 3])
def test_notices_may_come_in_any_order_and_any_number(shop, stripe_server, order, order_of):
    stripe_server.faults.plan(on="confirm", fault="lose_answer")
    acts.pay(shop, order)
    waiting = stripe_server.account.webhooks.waiting
    stripe_server.account.webhooks.waiting = order_of(waiting)

    assert set(hear(stripe_server)) == {"handled"}

    assert_same_books(stripe_server, order, paid=10_000)


@pytest.mark.parametrize("lie", ["mode", "environment", "currency", "dashboard"])
def test_a_payment_that_is_not_ours_is_kept_apart_and_never_booked(shop, stripe_server, order, lie):
    acts.pay(shop, order, "pm_card_threeDSecure2Required")
    hear(stripe_server)
    reference = reference_of(order)
    foreign = {
        "mode": {"livemode": True},
        "environment": {"metadata": {"flint_environment_id": "env_other"}},
        "currency": {"currency": "usd"},
        "dashboard": {"metadata": {}},
    }
    stripe_server.book.payments[reference].intent |= foreign[lie]
    stripe_server.authenticate(reference, passed=True)

    hear(stripe_server)

    newest = ProcessorNotice.objects.filter(type="payment_intent.succeeded").get()
    assert (newest.status, newest.reference) == ("unmatched" if lie == "currency" else "foreign", reference)
    assert newest.last_error
    assert_books_are_empty(order)


def test_a_refund_made_in_the_dashboard_is_taken_in(shop, stripe_server, order):
    acts.pay(shop, order)
    hear(stripe_server)
    stripe_server.book.create_refund({"payment_intent": reference_of(order), "amount": 500})

    hear(stripe_server)

    assert ProcessorNotice.objects.get(type="refund.created").status == "handled"
    assert_same_books(stripe_server, order, paid=10_000, refunded=500)


def test_a_notice_that_cannot_be_followed_up_is_tried_again(shop, stripe_server, order):
    stripe_server.faults.plan(on="confirm", fault="lose_answer")
    acts.pay(shop, order)
    stripe_server.faults.plan(on="retrieve", fault="error", status=503, times=None)
    assert set(hear(stripe_server)) == {"failed"}

    stripe_server.faults.clear()
    with stories.settled():
        inbound.handle_waiting(at=later(minutes=5))

    assert_same_books(stripe_server, order, paid=10_000)


# Keys


def test_an_environment_that_names_stripe_without_keys_cannot_collect(shop, stripe_server, stripe_environment, order):
    StripeAccount.objects.all().delete()

    refused = acts.pay(shop, order)

    assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED")
    assert "payment_collection" not in shop.get(f"/v1/orders/{order.id}").data
    assert stripe_server.calls == []


def test_an_order_says_how_a_browser_collects(shop, stripe_server, order):
    shown = shop.get(f"/v1/orders/{order.id}").data["payment_collection"]["stripe"]

    assert shown["publishable_key"] == stripe_server.publishable_key
    assert stripe_server.secret_key not in str(shown)
