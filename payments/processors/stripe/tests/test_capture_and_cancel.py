"""Taking a hold, and letting go, through the real SDK over real HTTP."""

import pytest

from flint.money import Money
from flint.testing.stories import eur
from payments.processors.base import Refused
from payments.processors.stripe.tests.calls import cancel, capture, hold, pay, see

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("amount", [10_000, 6_000, 1])
def test_some_or_all_of_a_hold_is_taken(stripe_server, stripe_environment, amount):
    held = hold(stripe_environment)

    payment = capture(held, eur(amount))

    assert (payment.status, payment.authorized_amount, payment.captured_amount) == ("succeeded", 10_000, amount)
    assert payment == see(held)
    assert [charge["amount_captured"] for charge in stripe_server.book.charges()] == [amount]


def test_more_than_is_held_is_refused(stripe_server, stripe_environment):
    held = hold(stripe_environment)

    with pytest.raises(Refused) as refusal:
        capture(held, eur(10_001))

    assert refusal.value.code == "amount_too_large"
    assert see(held) == held


@pytest.mark.parametrize("before", ["taken", "let go", "never held", "declined"])
def test_what_is_not_held_is_not_taken(stripe_server, stripe_environment, before):
    match before:
        case "taken":
            payment = capture(hold(stripe_environment), eur(5_000))
        case "let go":
            payment = cancel(hold(stripe_environment))
        case "never held":
            payment = pay(stripe_environment)
        case "declined":
            payment = pay(stripe_environment, "pm_card_chargeDeclined")
    charges = [charge["amount_captured"] for charge in stripe_server.book.charges()]

    with pytest.raises(Refused) as refusal:
        capture(payment, eur(1_000))

    assert refusal.value.code == "invalid_state"
    assert [charge["amount_captured"] for charge in stripe_server.book.charges()] == charges


def test_a_capture_that_stripe_would_round_is_refused_before_it_is_sent(stripe_server, stripe_environment):
    held = hold(stripe_environment, money=Money(10_000, "KWD"))

    with pytest.raises(Refused):
        capture(held, Money(5_001, "KWD"))

    assert len(stripe_server.moves()) == 1


def test_a_repeated_capture_takes_once(stripe_server, stripe_environment):
    held = hold(stripe_environment)

    first, second = (capture(held, eur(6_000), operation_id="pop_1") for _ in range(2))

    assert first == second
    assert [charge["amount_captured"] for charge in stripe_server.book.charges()] == [6_000]


@pytest.mark.parametrize(
    ("reason", "sent"), [("fraudulent", "fraudulent"), ("authorization_expired", None), ("", None)]
)
def test_a_hold_is_let_go(stripe_server, stripe_environment, reason, sent):
    held = hold(stripe_environment)

    payment = cancel(held, reason=reason)

    assert (payment.status, payment.captured_amount) == ("canceled", 0)
    assert payment.cancellation_reason == (sent or "")
    assert stripe_server.calls[-1].sent.get("cancellation_reason") == sent
    assert stripe_server.book.charges() == []


def test_a_buyers_step_is_called_off(stripe_server, stripe_environment):
    waiting = pay(stripe_environment, "pm_card_threeDSecure2Required")

    assert cancel(waiting).status == "canceled"

    stripe_server.authenticate(waiting.reference, passed=True)
    assert see(waiting).status == "canceled"


def test_letting_go_twice_is_as_good_as_once(stripe_server, stripe_environment):
    held = hold(stripe_environment)

    assert cancel(held).status == cancel(held).status == "canceled"


def test_what_was_taken_is_not_let_go(stripe_server, stripe_environment):
    payment = pay(stripe_environment)

    with pytest.raises(Refused) as refusal:
        cancel(payment)

    assert refusal.value.code == "invalid_state"
    assert see(payment) == payment


def test_a_hold_lapses_by_itself(stripe_server, stripe_environment):
    held = hold(stripe_environment)

    stripe_server.advance(7 * 24 * 3600 + 1)

    payment = see(held)
    assert (payment.status, payment.cancellation_reason) == ("canceled", "authorization_expired")
    with pytest.raises(Refused) as refusal:
        capture(held, eur(100))
    assert refusal.value.code == "invalid_state"
