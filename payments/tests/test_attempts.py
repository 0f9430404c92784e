"""Payment attempts: one open per order, frozen while it is, listed for good, seen by their own merchant alone."""

import pytest
from django.db import IntegrityError, transaction

from flint.testing import stories
from flint.testing.books import assert_books, check_guard
from flint.testing.processors import network_of
from flint.testing.stories import actor_in, line, time_passes
from orders import services as orders
from orders.collecting import OrderPaymentAttemptActive
from payments import services
from payments.models import PaymentAttempt
from payments.services.asking import ask_about_attempt
from payments.services.starting import start_payment
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    attempt_of,
    attempts_of,
    cancel_attempt,
    charged,
    confirm,
    hold,
    later,
    nothing_moves,
    pay,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def test_attempts_are_listed_newest_first_and_read_one_by_one(api, environment):
    order = stories.open_order(environment)
    failed, paid = attempt_of(pay(api, order, DECLINED)), attempt_of(pay(api, order))

    listed = api.get(f"/v1/orders/{order.id}/payment-attempts").data
    read = api.get(f"/v1/orders/{order.id}/payment-attempts/{failed}").data

    assert [attempt["order_payment_attempt_id"] for attempt in listed] == [paid, failed]
    assert (read["status"], read["failure_code"], bool(read["completed_at"])) == ("failed", "card_declined", True)


def test_a_strangers_attempts_are_not_found(api, other_api, environment):
    order, other = stories.open_order(environment), stories.open_order(environment)
    attempt = attempt_of(pay(api, order))

    assert other_api.get(f"/v1/orders/{order.id}/payment-attempts").status_code == 404
    assert other_api.get(f"/v1/orders/{order.id}/payment-attempts/{attempt}").status_code == 404
    assert other_api.post(f"/v1/orders/{order.id}/payment-attempts/{attempt}/cancel", {}).status_code == 404
    assert api.get(f"/v1/orders/{other.id}/payment-attempts/{attempt}").status_code == 404


def test_a_leg_declined_in_one_attempt_and_paid_in_the_next_shows_both(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order)
    confirm(api, order, (leg, DECLINED))
    confirm(api, order, leg)

    newest, oldest = api.get(f"/v1/orders/{order.id}/payment-attempts").data

    assert [attempt["payment_intents"][0]["status"] for attempt in (oldest, newest)] == [
        "requires_payment_method",
        "succeeded",
    ]
    assert oldest["payment_intents"][0]["last_payment_error"]["code"] == "card_declined"
    assert newest["payment_intents"][0].get("last_payment_error") is None


def test_d021_the_attempt_is_committed_before_the_processor_is_called(environment):
    order, actor = stories.open_order(environment, total=5_500), actor_in(environment)
    data = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}

    started = start_payment(order_id=order.id, data=data, actor=actor)

    assert (attempts_of(order), charged(order)) == (["processing"], [])
    with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive) as refusal:
        services.pay(order_id=order.id, data=data, actor=actor)
    assert refusal.value.facts["order_payment_attempt_id"] == started.attempt.id
    assert refusal.value.facts["is_resumable"] is True
    assert_books(order, paid=0)


def test_d038_each_call_carries_a_key_of_its_own_that_repeats_keep(api, environment):
    order = stories.open_order(environment)
    for key, leg in (("first", stage(api, order, 5_000)), ("second", stage(api, order, 5_000))):
        for _ in range(2):
            confirm(api, order, leg, completion_behavior="partial_payment", key=key)
    for leg in order.payment_intents.order_by("id"):
        stories.refund(order, payment_intent_id=leg.id)

    assert_books(order, paid=10_000, refunded=10_000, credit=10_000, balance=0)
    assert charged(order) == [5_000, 5_000]
    keys = network_of(environment).keys()
    assert len(keys) == len(set(keys)) == 4


class TestWhileOneIsOpen:
    """The order's amounts are frozen, words are not, and who asks learns of the attempt."""

    @pytest.fixture(params=[THREE_D_SECURE, DEBIT, "hold"])
    def collecting(self, request, api, environment):
        order = stories.open_order(environment, line(6_000, currency="USD"), line(4_000, currency="USD"))
        if request.param == "hold":
            hold(api, order)
        else:
            pay(api, order, request.param)
        order.refresh_from_db()
        return order

    def test_edits_are_refused_with_the_attempt(self, environment, collecting):
        order, actor = collecting, actor_in(environment)
        first = order.line_items.order_by("position")[0]
        discount = {"name": "Off", "amount_money": stories.eur(100)}
        edits = [
            lambda: orders.add_line_items(order_id=order.id, line_items=[line(1)], actor=actor),
            lambda: orders.update_line_item(
                order_id=order.id, line_item_id=first.id, data={"quantity": 2}, actor=actor
            ),
            lambda: orders.remove_line_item(order_id=order.id, line_item_id=first.id, actor=actor),
            lambda: orders.apply_discount(order_id=order.id, manual=discount, actor=actor),
            lambda: orders.update_order(order_id=order.id, data={"requested_tip": None}, actor=actor),
            lambda: orders.close_order(order_id=order.id, actor=actor),
            lambda: services.create_leg(order_id=order.id, data={}, actor=actor),
        ]
        attempt = order.payment_attempts.get()
        for edit in edits:
            with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive) as refusal:
                edit()
            assert refusal.value.facts["order_payment_attempt_id"] == attempt.id
            assert refusal.value.facts["payment_attempt_status"] == attempt.status
            assert refusal.value.facts["blocking_resource_count"] == 1
        assert_books(order, total=10_000, paid=0)

    def test_notes_and_references_stay_open(self, environment, collecting):
        actor = actor_in(environment)
        words = {"internal_note": "Rings twice", "external_reference_id": "shop-7"}

        orders.update_order(order_id=collecting.id, data=words, actor=actor)
        orders.add_note(order_id=collecting.id, text="Called the buyer.", actor=actor)

        order = assert_books(collecting, paid=0, internal_note="Rings twice", external_reference_id="shop-7")
        assert order.active_attempt_id

    def test_d056_words_changed_meanwhile_and_money_do_not_overwrite_each_other(self, environment, collecting):
        orders.update_order(order_id=collecting.id, data={"buyer_note": "Blue door"}, actor=actor_in(environment))

        time_passes(environment, later(minutes=1))

        is_debited = collecting.payment_intents.get().source_type == "ach_debit"
        assert_books(collecting, buyer_note="Blue door", paid=10_000 if is_debited else 0)

    def test_a_second_open_attempt_is_refused_by_the_database(self, environment, collecting):
        second = PaymentAttempt(
            environment=environment, order=collecting, expected_outstanding_amount=10_000, currency="EUR"
        )
        with pytest.raises(IntegrityError, match="attempt_one_open_per_order"), transaction.atomic():
            second.save(force_insert=True)

    def test_an_order_that_forgot_its_open_attempt_is_refused_by_the_guard(self, collecting):
        with pytest.raises(IntegrityError, match="is being paid by"), transaction.atomic():
            type(collecting).objects.filter(id=collecting.id).update(active_attempt_id="")
            check_guard()


def test_d029_an_order_is_not_closed_while_its_payment_is_in_flight(environment, api):
    order = stories.open_order(environment, total=3_000, currency="USD")
    pay(api, order, DEBIT)

    with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive):
        orders.close_order(order_id=order.id, actor=actor_in(environment))

    time_passes(environment, later(minutes=1))
    stories.refund(order)
    time_passes(environment, later(minutes=2))
    orders.close_order(order_id=order.id, actor=actor_in(environment))
    assert_books(order, paid=3_000, refunded=3_000, credit=3_000, balance=0, status="closed")


def test_d023_the_end_of_an_old_attempt_leaves_the_one_that_paid_alone(api, environment):
    order = stories.open_order(environment, total=3_300)
    _, expired = hold(api, order)
    network_of(environment).advance(later(days=8))
    pay(api, order)

    with nothing_moves(order):
        ask_about_attempt(expired, actor=actor_in(environment))

    assert attempts_of(order) == ["expired", "succeeded"]
    assert_books(order, paid=3_300, balance=0, payment_status="paid")
    assert charged(order) == [3_300]


def test_the_revision_moves_with_everything_that_is_stored_and_with_nothing_else(api, environment):
    order = stories.open_order(environment)
    revisions = [order.order_revision]
    for act in (
        lambda: pay(api, order, DECLINED),
        lambda: pay(api, order, THREE_D_SECURE),
        lambda: cancel_attempt(api, order, order.active_attempt_id),
        lambda: pay(api, order),
        lambda: stories.refund(order, amount_money=stories.eur(1)),
    ):
        act()
        order.refresh_from_db()
        revisions.append(order.order_revision)
    assert revisions == sorted(set(revisions))

    with nothing_moves(order):
        stories.deliver_notices(environment)
