"""Paying in parts: payment intents made by hand, chosen and confirmed together or one after the other."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import deliver_notices, eur, line, time_passes, wire
from orders.services import add_line_items, update_order
from payments.models import PaymentIntent
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    attempt_of,
    attempts_of,
    authenticate,
    cancel,
    cancel_attempt,
    capture,
    charged,
    confirm,
    dropped_by_processor,
    goes_through_after_all,
    later,
    nothing_moves,
    pay,
    resume,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def test_a_payment_intent_asks_for_all_that_is_outstanding_unless_told(api, environment):
    order = stories.open_order(environment)

    made = api.post(f"/v1/orders/{order.id}/payment-intents", {})

    assert made.status_code == 201
    leg = made.data["payment_intent"]
    assert (leg["status"], leg["amount_money"]) == ("requires_payment_method", wire(eur(10_000)))
    elements = made.data["payment_collection"]["stripe"]["elements"]
    assert (elements["submit_to"], elements["amount_money"]) == ("pay_order", wire(eur(10_000)))
    assert_books(order, paid=0, outstanding=10_000)


def test_a_payment_intent_may_not_ask_for_more_than_is_owed(api, environment):
    order = stories.open_order(environment)

    with nothing_moves(order):
        refused = api.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(10_001))})

    assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_BALANCE", wire(eur(10_000)))


def test_payment_intents_are_refused_in_another_currency_on_a_paid_order_and_during_an_attempt(api, environment):
    order, paid = stories.open_order(environment), stories.paid_order(environment)
    pay(api, order, THREE_D_SECURE)

    with nothing_moves(order, paid):
        assert api.post(f"/v1/orders/{paid.id}/payment-intents", {}).code == "ORDER_ALREADY_PAID"
        assert api.post(f"/v1/orders/{order.id}/payment-intents", {}).code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"
        other = stories.open_order(environment)
        dollars = {"amount_money": {"amount": 1, "currency": "USD"}}
        assert api.post(f"/v1/orders/{other.id}/payment-intents", dollars).code == "CURRENCY_MISMATCH"


def test_a_split_over_two_cards_pays_the_order(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)

    paid = confirm(api, order, first, second, expected_outstanding_money=wire(eur(10_000)))

    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")
    assert charged(order) == [6_000, 4_000]


def test_legs_that_do_not_cover_the_balance_are_refused_unless_a_part_is_wanted(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order, 6_000)

    with nothing_moves(order):
        refused = confirm(api, order, leg)
    assert refused.code == "ORDER_CHANGED_REFRESH_REQUIRED"
    assert refused.error["submitted_money"] == wire(eur(6_000))

    paid = confirm(api, order, leg, completion_behavior="partial_payment")
    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert_books(order, paid=6_000, outstanding=4_000, payment_status="partially_paid")
    pay(api, order)
    assert_books(order, paid=10_000, payment_status="paid")
    assert charged(order) == [6_000, 4_000]


@pytest.mark.parametrize("completion", ["complete_order", "partial_payment"])
def test_legs_of_more_than_the_balance_are_refused(api, environment, completion):
    order = stories.open_order(environment)
    legs = [stage(api, order, 6_000), stage(api, order, 6_000)]

    with nothing_moves(order):
        refused = confirm(api, order, *legs, completion_behavior=completion)

    assert refused.code == "ORDER_CHANGED_REFRESH_REQUIRED"
    assert refused.error["current_money"] == wire(eur(10_000))


def test_legs_are_refused_when_they_are_strange_doubled_ended_or_without_a_source(api, environment):
    order, other = stories.open_order(environment), stories.open_order(environment)
    leg, elsewhere, canceled = stage(api, order), stage(api, other), stage(api, order)
    cancel(api, order, canceled)
    bare = {"action": "confirm_payment_intents", "payment_intents": [{"payment_intent_id": leg}]}

    with nothing_moves(order, other):
        assert confirm(api, order, elsewhere).code == "PAYMENT_INTENT_NOT_PART_OF_ORDER"
        assert confirm(api, order, leg, leg).code == "PAYMENT_INTENT_NOT_PART_OF_ORDER"
        assert confirm(api, order, canceled).code == "PAYMENT_ALREADY_CANCELED"
        assert confirm(api, order, (leg, "visa")).code == "INVALID_PAYMENT_SOURCE"
        assert api.post(f"/v1/orders/{order.id}/pay", bare).code == "PAYMENT_SOURCE_REQUIRED"
        assert confirm(api, order).status_code == 400


def test_a_settled_leg_cannot_be_confirmed_again(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order, 6_000)
    confirm(api, order, leg, completion_behavior="partial_payment")

    with nothing_moves(order):
        again = confirm(api, order, leg, completion_behavior="partial_payment")

    assert again.code == "ORDER_PAYMENT_LEG_ALREADY_SETTLED"


def test_a_leg_that_is_captured_later_is_confirmed_alone(api, environment):
    order = stories.open_order(environment)
    held, other = stage(api, order, 6_000, capture_method="manual"), stage(api, order, 4_000)

    with nothing_moves(order):
        refused = confirm(api, order, held, other)

    assert refused.code == "ORDER_DELAYED_CAPTURE_SPLIT_PAYMENT_UNSUPPORTED"


def test_one_declined_leg_leaves_the_rest_to_be_paid(api, environment):
    order = stories.open_order(environment)
    good, bad = stage(api, order, 6_000), stage(api, order, 4_000)

    paid = confirm(api, order, good, (bad, DECLINED))

    attempt = paid.data["payment_attempt"]
    assert (attempt["status"], attempt["failure_code"]) == ("partially_succeeded", "card_declined")
    assert_books(order, paid=6_000, outstanding=4_000, payment_status="partially_paid", active_attempt_id="")

    assert confirm(api, order, bad).data["payment_attempt"]["status"] == "succeeded"
    assert_books(order, paid=10_000, payment_status="paid")
    assert attempts_of(order) == ["partially_succeeded", "succeeded"]
    assert charged(order) == [6_000, 4_000]


def test_a_split_waits_for_its_slowest_leg(api, environment):
    order = stories.open_order(environment, currency="USD")
    card, authenticated, debit = stage(api, order, 5_000), stage(api, order, 3_000), stage(api, order, 2_000)

    asked = confirm(api, order, card, (authenticated, THREE_D_SECURE), (debit, DEBIT))
    assert asked.data["payment_attempt"]["status"] == "processing"
    assert_books(order, paid=5_000, payment_status="partially_paid")

    authenticate(api, asked)
    assert resume(api, order, attempt_of(asked)).data["payment_attempt"]["status"] == "processing"
    assert_books(order, paid=8_000, payment_status="partially_paid")

    time_passes(environment, later(minutes=1))
    assert attempts_of(order) == ["succeeded"]
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")


def test_canceling_the_attempt_of_a_split_keeps_what_settled(api, environment):
    order = stories.open_order(environment)
    card, authenticated = stage(api, order, 6_000), stage(api, order, 4_000)
    asked = confirm(api, order, card, (authenticated, THREE_D_SECURE))

    canceled = cancel_attempt(api, order, attempt_of(asked))

    assert canceled.data["payment_attempt"]["status"] == "partially_succeeded"
    assert_books(order, paid=6_000, outstanding=4_000, active_attempt_id="")
    pay(api, order)
    assert_books(order, paid=10_000)


def test_d024_a_leg_paid_in_an_older_tab_pays_the_order(api, environment):
    order = stories.open_order(environment, total=7_000)
    leg = stage(api, order)
    first = confirm(api, order, (leg, THREE_D_SECURE))
    authenticate(api, first, "fail")
    deliver_notices(environment)
    second = confirm(api, order, (leg, THREE_D_SECURE))

    goes_through_after_all(order)
    deliver_notices(environment)

    assert_books(order, paid=7_000, balance=0, payment_status="paid")
    time_passes(environment, later(hours=1))
    assert_books(order, paid=7_000, balance=0, active_attempt_id="")
    assert PaymentIntent.objects.get(id=leg).status == "succeeded"

    authenticate(api, second)
    deliver_notices(environment)
    assert_books(order, paid=14_000, balance=-7_000, outstanding=0, payment_status="paid")
    assert charged(order) == [7_000, 7_000]
    stories.refund(order)
    assert_books(order, paid=14_000, refunded=14_000, credit=7_000, balance=0)


def test_a_late_word_about_an_old_try_leaves_the_running_one_alone(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order)
    asked = confirm(api, order, (leg, THREE_D_SECURE))
    first = order.payment_attempts.get()
    authenticate(api, asked, "fail")
    deliver_notices(environment)
    confirm(api, order, (leg, THREE_D_SECURE))

    dropped_by_processor(order)
    deliver_notices(environment)

    first.refresh_from_db()
    assert (first.status, attempts_of(order)) == ("failed", ["failed", "requires_action"])
    assert PaymentIntent.objects.get(id=leg).status == "requires_action"
    assert_books(order, paid=0)


def test_a_leg_declined_and_dropped_by_the_processor_can_still_be_paid(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order)
    confirm(api, order, (leg, DECLINED))

    dropped_by_processor(order)
    deliver_notices(environment)

    assert PaymentIntent.objects.get(id=leg).status == "requires_payment_method"
    assert attempts_of(order) == ["failed"]
    confirm(api, order, leg)
    assert_books(order, paid=10_000, payment_status="paid")


class TestTips:
    """The order's tip is spread over legs and captures, and none of it is left behind."""

    TIP = {"amount_money": eur(1_001)}

    def test_a_single_payment_settles_the_whole_tip(self, api, environment):
        order = stories.open_order(environment, requested_tip=self.TIP)

        pay(api, order)

        assert_books(order, total=11_001, paid=11_001, settled_tip_amount=1_001)

    def test_the_shares_of_several_legs_sum_to_the_tip(self, api, environment):
        order = stories.open_order(environment, requested_tip=self.TIP)
        legs = [stage(api, order, amount) for amount in (3_333, 3_333, 4_335)]
        assert [PaymentIntent.objects.get(id=leg).tip_amount for leg in legs] == [303, 303, 394]

        confirm(api, order, *legs)

        assert_books(order, paid=11_001, settled_tip_amount=1_001)
        stories.refund(order)
        assert_books(order, refunded=11_001, credit=11_001, tip_refunded_amount=1_001, balance=0)

    def test_a_leg_made_before_the_tip_does_not_lose_it(self, api, environment):
        order = stories.open_order(environment)
        early = stage(api, order)
        tip = {"requested_tip": {"amount_money": eur(500)}}
        update_order(order_id=order.id, data=tip, actor=stories.actor_in(environment))
        late = stage(api, order, 500)
        assert PaymentIntent.objects.get(id=late).tip_amount == 23

        confirm(api, order, early, late)

        assert_books(order, total=10_500, paid=10_500, settled_tip_amount=500)
        stories.refund(order)
        assert_books(order, refunded=10_500, credit=10_500, balance=0, refund_status="refunded")

    def test_a_part_capture_takes_its_share_and_the_next_payment_the_rest(self, api, environment):
        order = stories.open_order(environment, requested_tip=self.TIP)
        leg = stage(api, order, capture_method="manual")
        held = confirm(api, order, leg)

        capture(api, order, leg, attempt_of(held), 5_000)
        assert_books(order, paid=5_000, settled_tip_amount=454)

        pay(api, order)
        assert_books(order, paid=11_001, settled_tip_amount=1_001)

    def test_a_later_payment_brings_no_second_tip(self, api, environment):
        order = stories.open_order(environment, requested_tip=self.TIP)
        pay(api, order)

        add_line_items(order_id=order.id, line_items=[line(1_000)], actor=stories.actor_in(environment))
        pay(api, order)

        assert_books(order, paid=12_001, settled_tip_amount=1_001, balance=0)
