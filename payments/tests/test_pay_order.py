"""Paying an order in one go: what the buyer's bank says becomes what the order says, and a refusal moves nothing."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import deliver_notices, eur, line, time_passes, wire
from orders.services import close_order, remove_discounts
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    attempt_of,
    attempts_of,
    authenticate,
    cancel_attempt,
    capture,
    charged,
    hold,
    kinds_of,
    later,
    nothing_moves,
    pay,
    reference_of,
    resume,
    secret_of,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")

WITH_PARTS = pytest.mark.processors("sandbox", "faults")
"""Stripe has no card that is good for a part of a payment."""

DECLINES = {
    "pm_card_chargeDeclined": "card_declined",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
    "pm_card_chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "pm_card_chargeDeclinedProcessingError": "processing_error",
    "pm_card_chargeDeclinedFraudulent": "payment_blocked",
}
BOUNCES = {
    "pm_usBankAccount_accountClosed": "bank_account_closed",
    "pm_usBankAccount_noAccount": "bank_account_not_found",
    "pm_usBankAccount_insufficientFunds": "insufficient_funds",
    "pm_usBankAccount_debitNotAuthorized": "bank_debit_not_authorized",
}


def test_an_approved_card_pays_the_order(api, environment):
    order = stories.open_order(environment)

    paid = pay(api, order, expected_outstanding_money=wire(eur(10_000)), buyer_contact={"email": "buyer@post.example"})

    assert paid.status_code == 200
    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert paid.data["order"]["payment_status"] == "paid"
    (leg,) = paid.data["payment_attempt"]["payment_intents"]
    assert (leg["status"], leg["amount_money"]) == ("succeeded", wire(eur(10_000)))
    order = assert_books(order, total=10_000, paid=10_000, balance=0, payment_status="paid")
    assert (order.contact_email, order.active_attempt_id) == ("buyer@post.example", "")
    assert charged(order) == [10_000]
    # Where the network had to be waited for, the receipt has been mailed by now.
    told = [kind for kind in kinds_of(order) if kind != "order.message_sent"]
    assert told == ["order.created", "payment.started", "payment.settled"]


def test_a_confirmation_token_pays_as_well(api, environment):
    order = stories.open_order(environment)

    pay(api, order, payment_source={"confirmation_token": "ctoken_card_visa"})

    assert_books(order, paid=10_000, payment_status="paid")


@pytest.mark.parametrize(("token", "code"), DECLINES.items())
def test_a_declined_card_leaves_the_order_unpaid_and_free_for_the_next(api, environment, token, code):
    order = stories.open_order(environment)

    declined = pay(api, order, token)

    assert declined.status_code == 200
    attempt = declined.data["payment_attempt"]
    assert (attempt["status"], attempt["failure_code"], attempt["is_resumable"]) == ("failed", code, False)
    (leg,) = attempt["payment_intents"]
    assert (leg["status"], leg["last_payment_error"]["code"]) == ("requires_payment_method", code)
    assert declined.data["order"]["payment_status"] == "unpaid"
    assert_books(order, paid=0, outstanding=10_000, payment_status="unpaid", active_attempt_id="")
    assert charged(order) == []

    pay(api, order)

    assert_books(order, paid=10_000, payment_status="paid")
    assert (attempts_of(order), charged(order)) == (["failed", "succeeded"], [10_000])


def test_a_passed_3d_secure_step_pays_the_order(api, environment):
    order = stories.open_order(environment)

    asked = pay(api, order, THREE_D_SECURE)

    assert asked.data["payment_attempt"]["status"] == "requires_action"
    assert asked.data["payment_attempt"]["is_resumable"]
    assert_books(order, paid=0, payment_status="unpaid", active_attempt_id=attempt_of(asked))

    authenticate(api, asked)
    done = resume(api, order, attempt_of(asked))

    attempt = done.data["payment_attempt"]
    assert (attempt["status"], attempt["pending_actions"]) == ("succeeded", [])
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")
    assert charged(order) == [10_000]


def test_a_failed_3d_secure_step_declines(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    authenticate(api, asked, "fail")
    done = resume(api, order, attempt_of(asked))

    attempt = done.data["payment_attempt"]
    assert (attempt["status"], attempt["failure_code"]) == ("failed", "authentication_required")
    assert_books(order, paid=0, payment_status="unpaid", active_attempt_id="")


def test_a_canceled_3d_secure_step_frees_the_order(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    assert cancel_attempt(api, order, attempt_of(asked)).data["payment_attempt"]["status"] == "canceled"

    authenticate(api, asked)
    deliver_notices(environment)
    assert_books(order, paid=0, payment_status="unpaid", active_attempt_id="")
    pay(api, order)
    assert_books(order, paid=10_000)
    assert charged(order) == [10_000]


def test_a_closed_tab_still_pays_once_the_buyer_has_passed(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    authenticate(api, asked)
    deliver_notices(environment)

    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")


def test_a_second_pay_is_refused_while_the_buyer_authenticates_and_names_the_attempt(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    with nothing_moves(order):
        refused = pay(api, order)

    assert (refused.status_code, refused.code) == (409, "ORDER_PAYMENT_ATTEMPT_ACTIVE")
    assert refused.error["order_payment_attempt_id"] == attempt_of(asked)
    assert (refused.error["payment_attempt_status"], refused.error["is_resumable"]) == ("requires_action", True)


def test_a_second_pay_finds_the_order_paid_if_the_buyer_has_passed_meanwhile(api, environment):
    order = stories.open_order(environment)
    authenticate(api, pay(api, order, THREE_D_SECURE))

    refused = pay(api, order)

    assert refused.code == "ORDER_ALREADY_PAID"
    assert_books(order, paid=10_000)
    assert charged(order) == [10_000]


def test_d010_a_bank_debit_is_under_way_until_it_settles(api, environment):
    order = stories.open_order(environment, currency="USD")

    paid = pay(api, order, DEBIT)

    assert paid.data["payment_attempt"]["status"] == "processing"
    assert not paid.data["payment_attempt"]["is_resumable"]
    assert_books(order, paid=0, payment_status="unpaid")
    time_passes(environment, later(minutes=1))
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")
    assert charged(order) == [10_000]


@pytest.mark.parametrize(("token", "code"), BOUNCES.items())
def test_d034_a_bank_debit_that_bounces_leaves_the_order_unpaid_and_free(api, environment, token, code):
    order = stories.open_order(environment, currency="USD")
    pay(api, order, token)

    time_passes(environment, later(minutes=1))

    assert_books(order, paid=0, outstanding=10_000, payment_status="unpaid", active_attempt_id="")
    assert order.payment_attempts.get().failure_code == code
    pay(api, order)
    assert_books(order, paid=10_000)


def test_d027_a_bank_debit_that_stays_under_way_is_never_charged_again(api, environment):
    order = stories.open_order(environment, currency="USD")
    pay(api, order, "pm_usBankAccount_processing")

    for day in range(1, 4):
        time_passes(environment, later(days=day))
        assert pay(api, order).code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"

    assert (attempts_of(order), charged(order)) == (["processing"], [])
    assert_books(order, paid=0, payment_status="unpaid")


def test_a_bank_account_cannot_be_held(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order, capture_method="manual")
    intents = [{"payment_intent_id": leg, "token": DEBIT}]

    paid = api.post(f"/v1/orders/{order.id}/pay", {"action": "confirm_payment_intents", "payment_intents": intents})

    assert paid.data["payment_attempt"]["failure_code"] == "payment_method_unavailable"
    assert_books(order, paid=0, active_attempt_id="")


class TestNothingOwed:
    """An order worth nothing is settled by paying it, without any source."""

    def test_paying_without_a_source_settles_it(self, api, environment):
        order = stories.open_order(environment, line(0))
        assert_books(order, total=0, payment_status="unpaid")

        paid = api.post(f"/v1/orders/{order.id}/pay", {"action": "pay"})

        attempt = paid.data["payment_attempt"]
        assert (attempt["mode"], attempt["status"], attempt["payment_intents"]) == ("settlement", "succeeded", [])
        assert_books(order, paid=0, balance=0, payment_status="paid")
        assert api.post(f"/v1/orders/{order.id}/pay", {"action": "pay"}).code == "ORDER_ALREADY_PAID"

    def test_a_source_is_refused(self, api, environment):
        order = stories.open_order(environment, line(0))

        with nothing_moves(order):
            assert pay(api, order).code == "PAYMENT_NOT_REQUIRED"

    def test_discounts_that_brought_it_to_nothing_are_used_up(self, api, environment):
        gift = {"manual": {"name": "Gift", "amount_money": eur(2_000)}}
        order = stories.open_order(environment, total=2_000, discounts=[gift])
        api.post(f"/v1/orders/{order.id}/pay", {"action": "pay"})

        with nothing_moves(order), pytest.raises(Exception, match="ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"):
            discount = order.discounts.get()
            remove_discounts(order_id=order.id, discount_ids=[discount.id], actor=stories.actor_in(environment))

        assert order.discounts.get().status == "redeemed"
        assert_books(order, total=0, paid=0, payment_status="paid")


class TestRefusals:
    """What is refused moves nothing."""

    @pytest.mark.parametrize("expected", [eur(9_999), eur(10_001), Money(10_000, "USD")])
    def test_a_balance_other_than_expected(self, api, environment, expected):
        order = stories.open_order(environment)

        with nothing_moves(order):
            refused = pay(api, order, expected_outstanding_money=wire(expected))

        assert (refused.status_code, refused.code) == (409, "ORDER_CHANGED_REFRESH_REQUIRED")
        assert refused.error["current_money"] == wire(eur(10_000))
        assert refused.error["submitted_money"] == wire(expected)

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ({}, "INVALID_PAYMENT_SOURCE"),
            ({"token": "card_visa"}, "INVALID_PAYMENT_SOURCE"),
            ({"token": "ctoken_card_visa"}, "INVALID_PAYMENT_SOURCE"),
            ({"confirmation_token": "pm_card_visa"}, "INVALID_PAYMENT_SOURCE"),
            ({"token": 4242}, "INVALID_PAYMENT_SOURCE"),
            ({"token": "pm_card_visa", "confirmation_token": "ctoken_card_visa"}, "PAYMENT_SOURCE_CONFLICT"),
        ],
    )
    def test_a_source_of_the_wrong_shape(self, api, environment, source, code):
        order = stories.open_order(environment)

        with nothing_moves(order):
            refused = pay(api, order, payment_source=source)

        assert (refused.status_code, refused.code) == (400, code)

    def test_no_source_at_all(self, api, environment):
        order = stories.open_order(environment)

        with nothing_moves(order):
            refused = api.post(f"/v1/orders/{order.id}/pay", {"action": "pay"})

        assert (refused.status_code, refused.code) == (400, "PAYMENT_SOURCE_REQUIRED")

    def test_a_token_that_the_processor_does_not_know_is_a_failed_attempt(self, api, environment):
        order = stories.open_order(environment)

        paid = pay(api, order, "pm_from_nowhere")

        assert paid.data["payment_attempt"]["failure_code"] == "invalid_payment_source"
        assert_books(order, paid=0, active_attempt_id="")

    def test_an_order_with_staged_payment_intents(self, api, environment):
        order = stories.open_order(environment)
        leg = stage(api, order, 4_000)

        with nothing_moves(order):
            refused = pay(api, order)

        assert (refused.status_code, refused.code) == (409, "PAYMENT_LEG_SELECTION_REQUIRED")
        assert refused.error["current_money"] == wire(eur(10_000))
        (selectable,) = refused.error["selectable_payment_intents"]
        assert (selectable["payment_intent_id"], selectable["amount_money"]) == (leg, wire(eur(4_000)))

    def test_an_order_that_is_paid(self, api, environment):
        order = stories.paid_order(environment)

        with nothing_moves(order):
            assert pay(api, order).code == "ORDER_ALREADY_PAID"

    def test_an_order_that_is_closed(self, api, environment):
        order = stories.open_order(environment)
        close_order(order_id=order.id, actor=stories.actor_in(environment))

        with nothing_moves(order):
            assert pay(api, order).code == "ORDER_CLOSED"

    def test_a_strangers_order(self, other_api, environment):
        order = stories.open_order(environment)

        with nothing_moves(order):
            refused = pay(other_api, order)

        assert (refused.status_code, refused.code) == (404, "ORDER_NOT_FOUND")


class TestKeys:
    """One idempotency key is one wish."""

    def test_d020_the_same_request_with_the_same_key_charges_once(self, api, environment):
        order = stories.open_order(environment)

        first = pay(api, order, key="one wish")
        with nothing_moves(order):
            again = pay(api, order, key="one wish")

        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.data == first.data
        assert charged(order) == [10_000]

    def test_the_same_key_with_another_request_is_refused(self, api, environment):
        order, other = stories.open_order(environment), stories.open_order(environment)
        pay(api, order, DECLINED, key="one wish")

        with nothing_moves(order, other):
            assert pay(api, order, key="one wish").code == "IDEMPOTENCY_KEY_REUSED"
            assert pay(api, other, DECLINED, key="one wish").code == "IDEMPOTENCY_KEY_REUSED"

    def test_a_decline_is_repeated_under_its_key_and_tried_anew_under_another(self, api, environment):
        order = stories.open_order(environment)

        pay(api, order, DECLINED, key="first card")
        assert pay(api, order, DECLINED, key="first card").data["payment_attempt"]["status"] == "failed"
        assert pay(api, order, DECLINED, key="second try").data["payment_attempt"]["status"] == "failed"

        assert attempts_of(order) == ["failed", "failed"]

    def test_a_refusal_leaves_the_key_free(self, api, environment):
        order = stories.open_order(environment)
        body = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}

        assert api.post(f"/v1/orders/{order.id}/pay", {"action": "pay"}, key="k").code == "PAYMENT_SOURCE_REQUIRED"
        assert api.post(f"/v1/orders/{order.id}/pay", body, key="k").status_code == 200

        assert charged(order) == [10_000]


def test_d042_an_abandoned_and_a_declined_attempt_do_not_stop_a_good_one(api, environment):
    order = stories.open_order(environment, total=1_200)
    asked = pay(api, order, THREE_D_SECURE)
    network_of(environment).cancel(reference_of(order), reason="abandoned")

    pay(api, order, DECLINED)
    pay(api, order)

    assert attempts_of(order) == ["canceled", "failed", "succeeded"]
    assert resume(api, order, attempt_of(asked)).code == "PAYMENT_ATTEMPT_NOT_RESUMABLE"
    assert_books(order, paid=1_200, payment_status="paid")
    assert charged(order) == [1_200]


@WITH_PARTS
def test_d041_a_card_that_is_good_for_a_part_pays_that_part(api, environment):
    order = stories.open_order(environment, total=20_000)

    pay(api, order, "pm_card_partialApproval")

    assert_books(order, total=20_000, paid=16_000, outstanding=4_000, payment_status="partially_paid")
    pay(api, order)
    assert_books(order, paid=20_000, outstanding=0, payment_status="paid")
    assert charged(order) == [16_000, 4_000]


@WITH_PARTS
def test_d041_a_hold_that_is_good_for_a_part_is_captured_as_far_as_it_goes(api, environment):
    order = stories.open_order(environment, total=20_000)
    leg, attempt = hold(api, order, "pm_card_partialApproval")

    assert capture(api, order, leg, attempt, 16_001).code == "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE"
    capture(api, order, leg, attempt)

    assert_books(order, total=20_000, paid=16_000, outstanding=4_000, payment_status="partially_paid")
    assert charged(order) == [16_000]


@pytest.mark.parametrize(("amount", "currency"), [(500, "JPY"), (500, "USD"), (5_000, "KWD")])
def test_d142_the_processor_is_asked_for_minor_units_of_every_currency(api, environment, amount, currency):
    order = stories.open_order(environment, line(amount, currency=currency))

    pay(api, order, expected_outstanding_money={"amount": amount, "currency": currency})
    assert_books(order, total=amount, paid=amount, balance=0)
    assert charged(order) == [amount]

    stories.refund(order)
    assert_books(order, paid=amount, refunded=amount, credit=amount, balance=0, refund_status="refunded")


def test_the_buyers_secret_is_shown_in_pending_actions_and_nowhere_else(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)
    secret = secret_of(asked)

    shown = api.get(f"/v1/orders/{order.id}", {"expand": "payment_intents"}).data

    assert secret in str(shown["active_payment_attempt"].pop("pending_actions"))
    assert secret not in str(shown)
    assert all(secret not in str(event.data) for event in order.events.all())
    authenticate(api, asked)
    assert secret not in resume(api, order, attempt_of(asked)).content.decode()
    assert order.payment_intents.get().operations.get().action is None


@pytest.mark.processors("sandbox", "stripe")
def test_paying_takes_at_most_forty_statements(api, environment):
    order = stories.open_order(environment, *[line(100, name=f"Line {n}") for n in range(30)])
    api.get(f"/v1/orders/{order.id}")

    with CaptureQueriesContext(connection) as captured:
        pay(api, order, key="counted")

    assert_books(order, paid=3_000)
    assert len(own_statements(captured)) <= 40


def own_statements(captured: CaptureQueriesContext) -> list[str]:
    """Flint's own statements: without the simulated network's tables, and without the test's savepoints."""
    statements = [query["sql"] for query in captured.captured_queries]
    return [sql for sql in statements if "sandbox_" not in sql and not re.match(r"SAVEPOINT|RELEASE", sql)]
