"""Two callers at once, on a real database with real threads: always one effect, never a failure of ours."""

import pytest

from flint import actors
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, line
from orders import services as orders
from orders.models import Order
from payments import inbound
from payments.models import PaymentAttempt, ProcessorNotice
from payments.processors.sandbox.models import SandboxNotice
from payments.tests import acts
from payments.tests.acts import at_once, charged

ROUNDS = 50

pytestmark = pytest.mark.django_db(transaction=True)


def codes(answers: list) -> list[int]:
    """The statuses of answers; an exception in any thread fails the test with itself."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return sorted(answer.status_code for answer in answers)


def test_d001_paying_twice_charges_once(api, environment):
    for _ in range(ROUNDS):
        order = stories.open_order(environment)

        answers = at_once(lambda order=order: acts.pay(api, order), lambda order=order: acts.pay(api, order))

        assert codes(answers) == [200, 409]
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, balance=0, payment_status="paid")


def test_one_key_sent_twenty_times_at_once_pays_once(api, environment):
    for _ in range(5):
        order = stories.open_order(environment)

        answers = at_once(*[lambda order=order: acts.pay(api, order, key=order.id)] * 20)

        assert set(codes(answers)) <= {200, 409}
        assert {answer.code for answer in answers} <= {None, "IDEMPOTENCY_KEY_IN_PROGRESS"}
        assert charged(order) == [10_000]
        assert PaymentAttempt.objects.filter(order_id=order.id).count() == 1


def test_d011_paying_while_editing_charges_what_the_order_then_is_worth(api, environment):
    outcomes = set()
    body = {"line_items": [{"name": "Cake", "unit_price_money": {"amount": 9_000, "currency": "EUR"}}]}
    for _ in range(ROUNDS):
        order = stories.open_order(environment)

        answers = at_once(
            lambda order=order: acts.pay(api, order),
            lambda order=order: api.post(f"/v1/orders/{order.id}/line-items", body),
        )

        assert set(codes(answers)) <= {200, 409}
        order = Order.objects.get(id=order.id)
        assert sum(charged(order)) in (10_000, 19_000)
        assert_books(order, paid=sum(charged(order)), balance=order.total_amount - sum(charged(order)))
        outcomes.add((order.total_amount, order.paid_amount))
    assert outcomes <= {(10_000, 10_000), (19_000, 19_000), (19_000, 10_000)}


def test_d050_capture_against_cancel_has_one_winner(api, environment):
    winners = set()
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        leg, attempt = acts.hold(api, order)

        answers = at_once(
            lambda order=order, leg=leg, attempt=attempt: acts.capture(api, order, leg, attempt),
            lambda order=order, leg=leg, attempt=attempt: acts.cancel(api, order, leg, attempt),
        )

        assert codes(answers) == [200, 409]
        order = Order.objects.get(id=order.id)
        assert charged(order) == ([10_000] if order.paid_amount else [])
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")
        winners.add(order.payment_status)
    assert winners <= {"paid", "unpaid"}


def test_cancel_against_the_buyer_passing_3d_secure_ends_one_way(api, environment):
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        started = acts.pay(api, order, acts.THREE_D_SECURE)
        attempt = acts.attempt_of(started)

        answers = at_once(
            lambda order=order, attempt=attempt: acts.cancel_attempt(api, order, attempt),
            lambda started=started: acts.authenticate(api, started),
        )

        assert not any(isinstance(answer, Exception) for answer in answers), answers
        assert answers[0].status_code in (200, 409)
        acts.resume(api, order, attempt)
        order = Order.objects.get(id=order.id)
        assert len(charged(order)) == (1 if order.payment_status == "paid" else 0)
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def test_d057_a_notice_and_the_returning_buyer_settle_it_once(api, environment):
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        started = acts.pay(api, order, acts.THREE_D_SECURE)
        acts.authenticate(api, started)
        stories.deliver_notices(environment, handled=False)
        waiting = list(ProcessorNotice.objects.filter(status="received").values_list("id", flat=True))

        answers = at_once(
            lambda order=order, started=started: acts.resume(api, order, acts.attempt_of(started)),
            *[lambda notice=notice: inbound.handle(notice) for notice in waiting],
        )

        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert acts.kinds_of(order).count("payment.settled") == 1
        assert_books(order, paid=10_000, balance=0)


def test_d058_one_notice_posted_ten_times_at_once_is_stored_once(environment, client):
    order = stories.paid_order(environment)
    sent = []
    stories.notices.deliver(
        stories.timezone.now(), environment.id, post=lambda url, body, headers: sent.append((url, body, headers)) or 200
    )
    url, body, headers = sent[-1]
    path = "/" + url.split("//", 1)[1].partition("/")[2]

    answers = at_once(
        *[lambda: client.__class__().post(path, body, content_type="application/json", headers=headers)] * 10
    )

    assert codes(answers) == [200] * 10
    assert ProcessorNotice.objects.count() == 1
    assert SandboxNotice.objects.exists()
    assert_books(order, paid=10_000)


def test_edits_at_once_are_all_counted(environment):
    order = stories.open_order(environment)
    actor = actors.system(environment.id)

    answers = at_once(
        *[lambda: orders.add_line_items(order_id=order.id, line_items=[line(500)], actor=actor)] * 8,
        *[
            lambda: orders.add_charge(
                order_id=order.id, charge={"name": "Post", "type": "other", "amount_money": eur(100)}, actor=actor
            )
        ]
        * 8,
    )

    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert_books(order, total=10_000 + 8 * 600, order_revision=17, balance=14_800)
