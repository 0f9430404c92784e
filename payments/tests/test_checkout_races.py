"""Two at once around a checkout session, on real PostgreSQL with real threads: one effect, never a 5xx."""

from functools import partial

import pytest
from django.utils import timezone

from flint.actors import Actor
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.processors import network_of
from flint.testing.stories import actor_in, eur, line, wire
from orders.models import Order
from orders.services import add_line_items, close_order, update_order
from payments import services
from payments.models import CheckoutSession, PaymentAttempt
from payments.services.asking import ask_about_attempt
from payments.services.sessions.changing import update_session
from payments.services.sessions.credentials import authenticate_buyer, new_credential
from payments.services.sessions.ending import close_session, expire_if_due
from payments.tests.acts import THREE_D_SECURE, at_once, at_processor, charged, ended, kinds_of, later
from payments.tests.buyers import Buyer, buyer_of

ROUNDS = 50
PAID_ROUNDS = 20
"""Of those that reach the processor."""
CARD = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
TO_THE_BANK = {"action": "pay", "payment_source": {"token": THREE_D_SECURE}}
OVER = ("CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_SESSION_EXPIRED")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    with collecting() as collected:
        yield collected


def rounds(environment, times: int = ROUNDS) -> list[Order]:
    return [stories.open_order(environment) for _ in range(times)]


def opened(environment, times: int = PAID_ROUNDS, **data) -> list[tuple[Order, CheckoutSession, Actor]]:
    """Orders with an open session each, and its buyer as an actor who has been let in."""
    found = []
    for order in rounds(environment, times):
        launched = stories.checkout(order, **data)
        buyer, _ = authenticate_buyer(launched.session.id, launched.checkout_auth_token, timezone.now())
        found.append((order, launched.session, buyer))
    return found


def paying(order: Order, buyer: Actor, **data):
    return partial(services.pay, order_id=order.id, data={**CARD, **data}, actor=buyer)


def test_open_twice(environment):
    for order in rounds(environment):
        results = at_once(*[partial(stories.checkout, order)] * 2)

        (kept,) = ended(results, "CHECKOUT_SESSION_ALREADY_EXISTS")
        assert list(order.checkout_sessions.values_list("id", "status")) == [(kept.session.id, "open")]


def test_replace_twice(environment):
    for order, session, _ in opened(environment, ROUNDS):
        swap = partial(stories.checkout, order, replace_checkout_session_id=session.id)

        (kept,) = ended(at_once(swap, swap), "CHECKOUT_SESSION_CURRENT_CHANGED")

        assert dict(order.checkout_sessions.values_list("id", "status")) == {
            session.id: "invalidated",
            kept.session.id: "open",
        }


def test_pay_while_being_replaced(environment):
    for order, session, buyer in opened(environment):
        swap = partial(stories.checkout, order, replace_checkout_session_id=session.id)

        allowed = ("CHECKOUT_PAYMENT_RESOLVING", "CHECKOUT_SESSION_CURRENT_CHANGED")
        ended(at_once(paying(order, buyer), swap), *allowed, "CHECKOUT_SESSION_NOT_OPEN")

        assert charged(order) in ([], [10_000])
        current = {session.status for session in order.checkout_sessions.all()}
        assert current == ({"paid"} if charged(order) else {"invalidated", "open"})
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def test_d100_pay_while_the_time_runs_out(environment):
    for order, session, buyer in opened(environment):
        expire = partial(expire_if_due, session.id, at=later(days=2))

        ended(at_once(paying(order, buyer), expire), *OVER)

        session.refresh_from_db()
        assert (session.status, charged(order)) in (
            ("expired", []),
            # It ended while the payment was on its way, which was booked all the same.
            ("expired", [10_000]),
            ("paid", [10_000]),
        )
        assert_books(order, status="open", paid=sum(charged(order)), active_attempt_id="")


def test_pay_while_the_session_is_closed(environment):
    for order, session, buyer in opened(environment):
        close = partial(close_session, checkout_session_id=session.id, actor=actor_in(environment))

        ended(at_once(paying(order, buyer), close), "CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING")

        session.refresh_from_db()
        assert (session.status, charged(order)) in (("closed", []), ("paid", [10_000]))
        assert (
            kinds_of(order).count("checkout_session.closed") + kinds_of(order).count("checkout_session.completed") == 1
        )
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def test_d011_pay_while_the_merchant_edits(environment):
    for order, session, buyer in opened(environment):
        edit = partial(add_line_items, order_id=order.id, line_items=[line(500)], actor=actor_in(environment))
        pay = paying(order, buyer, expected_outstanding_money=eur(10_000))

        ended(at_once(pay, edit), "CHECKOUT_SESSION_NOT_OPEN", "ORDER_PAYMENT_ATTEMPT_ACTIVE")

        session.refresh_from_db()
        assert (session.status, charged(order)) in (("invalidated", []), ("paid", [10_000]))
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def test_d100_pay_while_the_order_is_closed(environment):
    for order, session, buyer in opened(environment):
        close = partial(close_order, order_id=order.id, actor=actor_in(environment))

        ended(at_once(paying(order, buyer), close), "CHECKOUT_SESSION_NOT_OPEN", "ORDER_PAYMENT_ATTEMPT_ACTIVE")

        session.refresh_from_db()
        assert (session.status, charged(order)) in (("invalidated", []), ("paid", [10_000]))
        assert_books(order, balance=0, active_attempt_id="")


def test_a_buyer_edits_while_its_session_is_closed(environment):
    for order, session, buyer in opened(environment, tip={"enabled": True}):
        tip = {"requested_tip": {"amount_money": eur(100)}}
        contact = {"buyer_contact": {"email": "ann@example.com"}}
        calls = (
            partial(update_order, order_id=order.id, data=tip, actor=buyer),
            partial(update_session, checkout_session_id=session.id, data=contact, actor=buyer),
            partial(close_session, checkout_session_id=session.id, actor=actor_in(environment)),
        )

        ended(at_once(*calls), "CHECKOUT_SESSION_NOT_OPEN")

        kinds = kinds_of(order)
        if "order.requested_tip_added" in kinds:
            assert kinds.index("order.requested_tip_added") < kinds.index("checkout_session.closed")


def test_d001_one_buyer_presses_pay_in_five_tabs(environment):
    for order, _, buyer in opened(environment, times=10):
        kept = ended(at_once(*[paying(order, buyer)] * 5), "ORDER_PAYMENT_ATTEMPT_ACTIVE", *OVER)

        assert len(kept) == 1
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0)


def test_d003_the_buyer_comes_back_while_flint_hears_of_it(environment):
    for order, _, buyer in opened(environment, times=10):
        asked = services.pay(order_id=order.id, data=TO_THE_BANK, actor=buyer).attempt
        network_of(environment.id).authenticate(secret_of(asked), passed=True)
        resume = {"action": "resume", "order_payment_attempt_id": asked.id}
        heard = partial(ask_about_attempt, asked.id, actor=actor_in(environment))

        results = at_once(partial(services.pay, order_id=order.id, data=resume, actor=buyer), heard, heard)

        assert len(ended(results)) == 3
        assert charged(order) == [10_000] and not at_processor(order).refunds
        assert kinds_of(order).count("checkout_session.completed") == 1
        assert_books(order, paid=10_000, outstanding=0)


def secret_of(attempt: PaymentAttempt) -> str:
    """The secret of the buyer's step."""
    return attempt.operations.get(kind="confirm").buyer_action.client_secret


def test_64_buyers_of_one_order_pay_once(environment):
    """On pages of sessions that were replaced, on forty pages of the current one, and the merchant beside them."""
    for order in rounds(environment, times=2):
        buyers = [buyer_of(order)]
        for _ in range(20):
            buyers.append(buyer_of(order, replace_checkout_session_id=buyers[-1].session_id))
        current = buyers[-1].session
        buyers += [Buyer(current.id, new_credential(current), environment) for _ in range(39)]
        clients = [*buyers, *(client_of(environment) for _ in range(4))]
        body = {**CARD, "expected_outstanding_money": wire(eur(10_000))}

        answers = at_once(*[partial(client.post, f"/v1/orders/{order.id}/pay", body) for client in clients])

        kept = ended(
            answers,
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_HAS_OPEN_CHECKOUT",
            "ORDER_ALREADY_PAID",
            *OVER,
            "ORDER_CHANGED_REFRESH_REQUIRED",
        )
        assert len(answers) == 64 and len(kept) == 1
        assert {answer.status_code for answer in answers if answer is not kept[0]} == {409}
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0, payment_status="paid", active_attempt_id="")
        current.refresh_from_db()
        assert current.status == "paid"
