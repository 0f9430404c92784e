"""
Two at once, on real PostgreSQL with real threads: always one effect, never a 5xx, never a deadlock.

Each race runs 50 rounds on orders made beforehand; fewer against Stripe's stand-in, and where trouble stands.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.processors import network_of
from flint.testing.stories import actor_in, line
from orders.models import Order
from orders.services import add_line_items, close_order, update_order
from payments import inbound, services
from payments.models import PaymentOperation, ProcessorNotice
from payments.processors.sandbox import notices
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.models import SandboxNotice
from payments.services.asking import ask_about_attempt
from payments.tests.acts import (
    THREE_D_SECURE,
    at_once,
    at_processor,
    attempts_of,
    charged,
    ended,
    going_wrong,
    hold,
    later,
    pay,
    rounds_of,
)

ROUNDS = 50

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    with collecting() as collected:
        yield collected


def rounds(environment, times: int = ROUNDS, **order: Any) -> list[Order]:
    return [stories.open_order(environment, **order) for _ in range(rounds_of(environment, times))]


@pytest.mark.processors("sandbox", "faults", "stripe")
def test_pay_twice(environment):
    for order in rounds(environment):
        results = at_once(partial(stories.pay, order), partial(stories.pay, order))

        kept = ended(results, "ORDER_PAYMENT_ATTEMPT_ACTIVE", "ORDER_ALREADY_PAID")
        assert len(kept) == 1
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, balance=0, payment_status="paid", active_attempt_id="")


@pytest.mark.processors("sandbox", "stripe")
def test_pay_while_editing(environment):
    actor = actor_in(environment)
    for order in rounds(environment):
        edit = partial(add_line_items, order_id=order.id, line_items=[line(500)], actor=actor)

        results = at_once(partial(stories.pay, order), edit)

        ended(results, "ORDER_PAYMENT_ATTEMPT_ACTIVE")
        order.refresh_from_db()
        assert charged(order) in ([10_000], [10_500])
        assert_books(order, paid=sum(charged(order)), outstanding=order.total_amount - sum(charged(order)))


def test_d167_pay_expecting_a_balance_while_editing_never_charges_another_one(environment):
    actor = actor_in(environment)
    for order in rounds(environment):
        edit = partial(add_line_items, order_id=order.id, line_items=[line(500)], actor=actor)
        expecting = partial(stories.pay, order, expected_outstanding_money=stories.eur(10_000))

        ended(at_once(expecting, edit), "ORDER_PAYMENT_ATTEMPT_ACTIVE", "ORDER_CHANGED_REFRESH_REQUIRED")

        assert charged(order) in ([], [10_000])
        assert_books(order, paid=sum(charged(order)))


def test_d100_pay_while_closing(environment):
    actor = actor_in(environment)
    for order in rounds(environment):
        close = partial(close_order, order_id=order.id, actor=actor)

        ended(at_once(partial(stories.pay, order), close), "ORDER_CLOSED", "ORDER_PAYMENT_ATTEMPT_ACTIVE")

        order.refresh_from_db()
        assert (order.status, sum(charged(order))) in (("closed", 0), ("open", 10_000), ("closed", 10_000))
        assert_books(order, balance=0, active_attempt_id="")


def test_the_same_key_twentyfold_over_http(environment):
    clients = [client_of(environment) for _ in range(20)]
    body = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
    for order in rounds(environment):
        calls = [partial(client.post, f"/v1/orders/{order.id}/pay", body, key=f"pay {order.id}") for client in clients]

        kept = ended(at_once(*calls), "IDEMPOTENCY_KEY_IN_PROGRESS")

        assert {answer.data["payment_attempt"]["order_payment_attempt_id"] for answer in kept} == {
            order.payment_attempts.get().id
        }
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000)


def buyer_of(order: Order) -> Callable[[], None]:
    """Return what the buyer does at the processor: pass the step."""
    secret = PaymentOperation.objects.get(payment_intent__order=order).buyer_action.client_secret
    return partial(network_of(order.environment_id).authenticate, secret, passed=True)


@pytest.mark.processors("sandbox", "stripe")
def test_cancel_against_the_buyer_who_authenticates(environment):
    actor = actor_in(environment)
    for order in rounds(environment):
        attempt = stories.pay(order, token=THREE_D_SECURE).attempt
        cancel = partial(services.cancel_attempt, order_id=order.id, attempt_id=attempt.id, data={}, actor=actor)
        ask = partial(ask_about_attempt, attempt.id, actor=actor)

        results = at_once(cancel, buyer_of(order), ask, ask)

        kept = ended(results, "PAYMENT_ATTEMPT_NOT_CANCELABLE")
        taken = sum(charged(order))
        assert (taken, attempts_of(order)) in ((0, ["canceled"]), (10_000, ["succeeded"]))
        assert len(kept) == (4 if taken == 0 else 3)
        assert_books(order, paid=taken, active_attempt_id="")


def test_cancel_against_confirm(environment):
    actor = actor_in(environment)
    for order in rounds(environment):
        leg = services.create_leg(order_id=order.id, data={}, actor=actor)
        wanted = {
            "action": "confirm_payment_intents",
            "payment_intents": [{"payment_intent_id": leg.id, "token": "pm_card_visa"}],
        }
        results = at_once(
            partial(services.pay, order_id=order.id, data=wanted, actor=actor),
            partial(services.cancel_leg, order_id=order.id, payment_intent_id=leg.id, data={}, actor=actor),
        )

        kept = ended(
            results,
            "PAYMENT_ALREADY_CANCELED",
            "PAYMENT_ATTEMPT_ID_REQUIRED",
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "ORDER_PAYMENT_LEG_ALREADY_SETTLED",
        )
        assert len(kept) == 1
        leg.refresh_from_db()
        assert (leg.status, charged(order)) in (("canceled", []), ("succeeded", [10_000]))
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def held_orders(environment) -> list[tuple[Order, str, str]]:
    held = [stories.held_order(environment) for _ in range(rounds_of(environment, ROUNDS))]
    return [(order, order.payment_intents.get().id, order.active_attempt_id) for order in held]


@pytest.mark.processors("sandbox", "stripe")
def test_d050_capture_against_cancel(environment):
    actor = actor_in(environment)
    for order, leg, attempt in held_orders(environment):
        wanted = {"order_id": order.id, "payment_intent_id": leg, "data": {"order_payment_attempt_id": attempt}}

        results = at_once(
            partial(services.capture, **wanted, actor=actor), partial(services.cancel_leg, **wanted, actor=actor)
        )

        kept = ended(
            results,
            "PAYMENT_OPERATION_IN_PROGRESS",
            "INVALID_STATUS_FOR_CAPTURE",
            "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE",
            "ORDER_PAYMENT_LEG_ALREADY_SETTLED",
            "PAYMENT_ALREADY_CANCELED",
            "PAYMENT_ATTEMPT_MISMATCH",
        )
        assert len(kept) == 1
        effects = [effect.kind for effect in at_processor(order)]
        assert effects in (["authorization", "charge"], ["authorization", "release"])
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


@pytest.mark.processors("sandbox", "stripe")
def test_capture_twice(environment):
    actor = actor_in(environment)
    for order, leg, attempt in held_orders(environment):
        data = {"order_payment_attempt_id": attempt, "amount_money": stories.eur(6_000)}
        capture = partial(services.capture, order_id=order.id, payment_intent_id=leg, data=data, actor=actor)

        kept = ended(at_once(capture, capture), "PAYMENT_OPERATION_IN_PROGRESS", "INVALID_STATUS_FOR_CAPTURE")

        assert len(kept) == 1
        assert charged(order) == [6_000]
        assert_books(order, paid=6_000, outstanding=4_000, active_attempt_id="")


def test_d057_notice_against_resume(environment):
    actor = actor_in(environment)
    orders = rounds(environment, total=5_900)
    attempts = [stories.pay(order, token=THREE_D_SECURE).attempt.id for order in orders]
    for order in orders:
        buyer_of(order)()
    stories.deliver_notices(environment, handled=False)
    told = dict(ProcessorNotice.objects.filter(type="payment.succeeded").values_list("reference", "id"))
    for order, attempt in zip(orders, attempts, strict=True):
        reference = PaymentOperation.objects.get(payment_intent__order=order).reference
        data = {"action": "resume", "order_payment_attempt_id": attempt}

        results = at_once(
            partial(services.pay, order_id=order.id, data=data, actor=actor),
            partial(inbound.handle, told[reference], at=later(minutes=1)),
            partial(ask_about_attempt, attempt, actor=actor),
        )

        assert len(ended(results)) == 3
        kinds = list(order.events.values_list("type", flat=True))
        assert kinds.count("payment.settled") == 1
        assert_books(order, paid=5_900, balance=0, payment_status="paid", active_attempt_id="")
        assert charged(order) == [5_900]
    assert set(ProcessorNotice.objects.filter(type="payment.succeeded").values_list("status", flat=True)) == {"handled"}


def test_d023_bad_news_of_an_old_attempt_against_good_news_of_the_new_one(environment):
    actor = actor_in(environment)
    for order in rounds(environment, times=20, total=3_300):
        with going_wrong(order, on="confirm", fault="refuse", code="card_declined"):
            stories.pay(order)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            attempt = stories.pay(order).attempt
        old = PaymentOperation.objects.filter(payment_intent__order=order).order_by("id")[0]

        results = at_once(
            partial(ask_about_attempt, attempt.id, actor=actor),
            partial(services.record_refusal, old.id, code="expired_card", message="Late.", actor=actor),
            partial(ask_about_attempt, attempt.id, actor=actor),
        )

        assert len(ended(results)) == 3
        assert_books(order, paid=3_300, balance=0, payment_status="paid", active_attempt_id="")
        assert attempts_of(order) == ["failed", "succeeded"]


def test_d056_words_changed_while_money_comes_in(environment):
    actor = actor_in(environment)
    for order in rounds(environment, times=20):
        words = partial(update_order, order_id=order.id, data={"buyer_note": "Blue door"}, actor=actor)

        assert len(ended(at_once(partial(stories.pay, order), words))) == 2

        assert_books(order, paid=10_000, buyer_note="Blue door", payment_status="paid")


def test_d058_one_notice_ten_times_at_once_is_stored_and_booked_once(environment, tasks):
    clients = [client_of(environment).http for _ in range(10)]
    for order in rounds(environment, times=10, total=2_100):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            stories.pay(order)
        told = SandboxNotice.objects.order_by("-created_at", "-id")[0]
        body = notices.body_of(told)
        headers = {notices.HEADER: notices.sign(account_of(environment.id), body, later())}
        posts = [
            partial(client.post, f"/notices/sandbox/{environment.id}", body, "application/json", headers=headers)
            for client in clients
        ]

        assert [answer.status_code for answer in at_once(*posts)] == [200] * 10
        stored = ProcessorNotice.objects.get(notice_id=told.id)
        assert len(ended(at_once(*[partial(inbound.handle, stored.id)] * 5))) == 5

        stored.refresh_from_db()
        assert (stored.status, stored.attempts) == ("handled", 1)
        assert_books(order, paid=2_100, balance=0)
        assert order.entries.filter(kind="capture").count() == 1


def test_d059_everything_at_once_on_one_order_meets_no_deadlock(environment, api):
    actor = actor_in(environment)
    for order in rounds(environment, times=10):
        leg, attempt = hold(api, order)
        wanted = {"order_id": order.id, "payment_intent_id": leg, "data": {"order_payment_attempt_id": attempt}}
        calls: list[Callable] = [
            partial(services.capture, **wanted, actor=actor),
            partial(services.cancel_attempt, order_id=order.id, attempt_id=attempt, data={}, actor=actor),
            partial(ask_about_attempt, attempt, actor=actor),
            partial(services.sweep, at=later(days=1)),
            partial(pay, client_of(environment), order),
            partial(update_order, order_id=order.id, data={"internal_note": "Busy"}, actor=actor),
            partial(add_line_items, order_id=order.id, line_items=[line(100)], actor=actor),
            partial(api.get, f"/v1/orders/{order.id}", {"expand": "payment_intents"}),
        ]

        ended(
            at_once(*calls),
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_ALREADY_PAID",
            "PAYMENT_OPERATION_IN_PROGRESS",
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "PAYMENT_ATTEMPT_NOT_CANCELABLE",
            "INVALID_STATUS_FOR_CAPTURE",
            "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE",
            "PAYMENT_ATTEMPT_MISMATCH",
        )
        stories.sweep(at=later(days=2))
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")
        assert sum(charged(order)) in (0, 10_000, 10_100)


def test_threads_have_connections_of_their_own(environment):
    """The races above are none if the threads share a connection."""

    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    assert len({backend(), *at_once(backend, backend)}) == 3
