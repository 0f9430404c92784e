"""What goes wrong on the way to Stripe and back: nothing done, something done, or nobody knows."""

import socket

import pytest

from flint.testing.stories import eur
from payments.processors.base import DoesNotFit, Misconfigured, NoAnswer, ProcessorError, Refused, Unreachable
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.calls import (
    cancel,
    capture,
    give_back,
    hold,
    pay,
    payment_request,
    processor,
    refund_request,
    see,
    see_refund,
)

pytestmark = pytest.mark.django_db

CALLS = {
    "confirm": lambda held, paid, environment: pay(environment),
    "capture": lambda held, paid, environment: capture(held, eur(5_000)),
    "cancel": lambda held, paid, environment: cancel(held),
    "refund": lambda held, paid, environment: give_back(paid, eur(1_000)),
}


@pytest.fixture(params=CALLS)
def move(request, stripe_server, stripe_environment):
    """Every call that moves money: its name, and a way to make it."""
    held, paid = hold(stripe_environment), pay(stripe_environment)
    return request.param, lambda: CALLS[request.param](held, paid, stripe_environment)


def moved(server) -> tuple:
    """What happened at Stripe, in numbers."""
    intents = [payment.intent["status"] for payment in server.book.payments.values()]
    return intents, [charge["amount_captured"] for charge in server.book.charges()], len(server.book.refunds)


@pytest.mark.parametrize("fault", ["lose_answer", "garbage"])
def test_a_lost_answer_is_an_unknown_outcome_of_something_done(stripe_server, move, fault):
    name, call = move
    before = moved(stripe_server)
    stripe_server.faults.plan(on=name, fault=fault)

    with pytest.raises(NoAnswer):
        call()

    assert moved(stripe_server) != before


def test_a_call_that_broke_off_is_an_unknown_outcome_of_nothing_done(stripe_server, move):
    name, call = move
    before = moved(stripe_server)
    stripe_server.faults.plan(on=name, fault="drop")

    with pytest.raises(NoAnswer):
        call()

    assert moved(stripe_server) == before


@pytest.mark.parametrize("status", [409, 500, 502, 503, 504])
@pytest.mark.parametrize("after", [False, True])
def test_an_error_of_stripes_own_is_an_unknown_outcome(stripe_server, move, status, after):
    name, call = move
    before = moved(stripe_server)
    stripe_server.faults.plan(on=name, fault="error", status=status, after=after)

    with pytest.raises(NoAnswer):
        call()

    assert (moved(stripe_server) != before) is after


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (429, "rate_limit", Unreachable),
        (429, "lock_timeout", Unreachable),
        (401, "", Misconfigured),
        (401, "api_key_expired", Misconfigured),
        (403, "account_invalid", Misconfigured),
        (400, "testmode_charges_only", Misconfigured),
        (400, "payment_intent_unexpected_state", Refused),
        (400, "parameter_unknown", Refused),
        (400, "idempotency_key_in_use", NoAnswer),
    ],
)
def test_an_error_that_says_so_is_nothing_done(stripe_server, move, status, code, meaning):
    name, call = move
    before = moved(stripe_server)
    stripe_server.faults.plan(on=name, fault="error", status=status, code=code)

    with pytest.raises(meaning) as error:
        call()

    assert error.type is meaning or meaning is Refused
    assert moved(stripe_server) == before


def test_an_answer_that_takes_too_long_is_an_unknown_outcome(stripe_server, move, settings):
    name, call = move
    settings.STRIPE_TIMEOUT = 1
    before = moved(stripe_server)
    stripe_server.faults.plan(on=name, fault="slow")

    with pytest.raises(NoAnswer):
        call()

    assert moved(stripe_server) != before


def test_nobody_there_is_nothing_done(stripe_server, stripe_environment, move):
    _, call = move
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        StripeAccount.objects.filter(pk=stripe_environment.id).update(api_base=address)

        with pytest.raises(Unreachable):
            call()


def test_a_name_that_nobody_has_is_nothing_done(stripe_server, stripe_environment, move):
    _, call = move
    StripeAccount.objects.filter(pk=stripe_environment.id).update(api_base="https://stripe.invalid")

    with pytest.raises(Unreachable):
        call()


def test_a_remembered_error_is_repeated_and_stays_unknown(stripe_server, stripe_environment):
    request = payment_request(stripe_environment)
    stripe_server.faults.plan(on="confirm", fault="error", status=500, after=True)

    for _ in range(2):
        with pytest.raises(NoAnswer):
            processor.confirm(request)

    found = processor.find_payment(environment_id=stripe_environment.id, operation_id=request.operation_id)
    assert found.status == "succeeded"
    assert len(stripe_server.book.charges()) == 1


def test_an_operation_id_used_for_something_else_is_never_a_plain_no(stripe_server, stripe_environment):
    request = refund_request(pay(stripe_environment), eur(100))
    processor.refund(request)

    with pytest.raises(NoAnswer):
        give_back(pay(stripe_environment), eur(200), operation_id=request.operation_id)

    assert len(stripe_server.book.refunds) == 1


def test_a_decline_without_its_payment_is_a_refusal(stripe_server, stripe_environment):
    stripe_server.faults.plan(on="confirm", fault="error", status=402, code="card_declined", decline_code="lost_card")

    with pytest.raises(Refused) as refusal:
        pay(stripe_environment)

    assert refusal.value.code == "card_declined"


@pytest.mark.parametrize("fault", [{"fault": "drop"}, {"fault": "error", "status": 500}, {"fault": "garbage"}])
def test_a_question_without_an_answer_says_nothing_about_the_payment(stripe_server, stripe_environment, fault):
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(100))

    for ask in (lambda: see(payment), lambda: see_refund(refund)):
        stripe_server.faults.plan(on="retrieve", **fault)
        with pytest.raises(NoAnswer):
            ask()
    stripe_server.faults.plan(on="list", **fault)
    with pytest.raises(NoAnswer):
        processor.find_payment(environment_id=stripe_environment.id, operation_id=payment.operation_id)


def test_a_list_without_end_is_no_proof_that_there_is_nothing(stripe_server, stripe_environment, monkeypatch):
    monkeypatch.setattr("payments.processors.stripe.adapter.LOOKED_THROUGH", 5)
    payment = pay(stripe_environment)
    for _ in range(4):
        pay(stripe_environment)

    def find(operation_id):
        return processor.find_payment(environment_id=stripe_environment.id, operation_id=operation_id)

    assert find(payment.operation_id) == payment
    with pytest.raises(NoAnswer):
        find("pop_nothing")


FOREIGN = {
    "mode": {"livemode": True},
    "environment": {"metadata": {"flint_environment_id": "env_other"}},
    "currency": {"currency": "usd"},
    "operation": {"metadata": {}},
}


@pytest.mark.parametrize("lie", FOREIGN)
def test_an_answer_about_something_else_is_not_believed(stripe_server, stripe_environment, lie):
    """Only a server that lies answers so; what it did is open, and a question finds the same and books nothing."""
    real = stripe_server.book.show

    def show(thing, expand=()):
        return real(thing, expand) | FOREIGN[lie]

    stripe_server.book.show = show

    with pytest.raises(NoAnswer):
        pay(stripe_environment)


@pytest.mark.parametrize("lie", ["mode", "environment"])
def test_an_object_that_is_not_ours_is_not_read(stripe_server, stripe_environment, lie):
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(100))
    stripe_server.book.payments[payment.reference].intent |= FOREIGN[lie]
    stripe_server.book.refunds[refund.reference] |= FOREIGN[lie]

    for ask in (lambda: see(payment), lambda: see_refund(refund)):
        with pytest.raises(DoesNotFit):
            ask()


def test_keys_that_are_gone_are_a_matter_of_configuration(stripe_server, stripe_environment, move):
    _, call = move
    stripe_server.keys.clear()

    with pytest.raises(Misconfigured) as error:
        call()

    assert stripe_environment.id in str(error.value)


def test_keys_that_cannot_be_unsealed_are_a_matter_of_configuration(stripe_server, stripe_environment, settings):
    settings.ENCRYPTION_KEYS = ["another key that is long enough to be one"]

    with pytest.raises(Misconfigured, match="FLINT_ENCRYPTION_KEYS"):
        pay(stripe_environment)
    assert stripe_server.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda environment: pay(environment),
        lambda environment: processor.find_payment(environment_id=environment.id, operation_id="pop_1"),
        lambda environment: processor.retrieve_refund(environment_id=environment.id, reference="re_1"),
        lambda environment: processor.collection(environment_id=environment.id),
    ],
)
def test_an_environment_without_keys_is_a_matter_of_configuration(environment, call):
    with pytest.raises(Misconfigured, match="connect_stripe"):
        call(environment)
    assert issubclass(Misconfigured, ProcessorError)
    assert not processor.is_configured(environment_id=environment.id)
