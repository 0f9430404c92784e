"""Saving a card at Stripe, paying with it when the buyer is not there, and forgetting it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from flint.ids import new_id
from flint.merchants.models import Environment, Kind
from flint.testing.stories import eur
from flint.testing.stripe_server import shapes
from payments.processors.base import DoesNotFit, NoAnswer, NotOurs, Refused, SetupRequest, SourceSummary
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.setups import setup_state
from payments.processors.stripe.tests.calls import pay, payment_request, processor

pytestmark = pytest.mark.django_db

ACCOUNT = StripeAccount(environment=Environment(id="env_1", kind=Kind.SANDBOX))


def setup_request(environment, **changes) -> SetupRequest:
    return SetupRequest(
        **{
            "operation_id": new_id("pms"),
            "payment_method_id": new_id("pm"),
            "environment_id": environment.id,
            "customer_id": new_id("cus"),
            **changes,
        }
    )


def see(setup):
    return processor.retrieve_setup(environment_id=setup.environment_id, reference=setup.reference)


def saved(server, environment, token="pm_card_visa"):
    """A card that the buyer saved, passing 3-D Secure if asked."""
    setup = processor.begin_setup(setup_request(environment))
    server.confirm_setup(setup.reference, token)
    server.authenticate(setup.reference, passed=True)
    return see(setup)


def forget(setup, operation_id=""):
    processor.detach(environment_id=setup.environment_id, token=setup.token, operation_id=operation_id or new_id("pms"))


def test_a_setup_waits_for_the_browser_with_a_customer_of_its_own(stripe_server, stripe_environment):
    request = setup_request(stripe_environment)

    setup = processor.begin_setup(request)

    assert (setup.status, setup.error_code, setup.token, setup.source) == ("requires_payment_method", "", "", None)
    assert (setup.operation_id, setup.payment_method_id) == (request.operation_id, request.payment_method_id)
    assert setup.environment_id == stripe_environment.id
    assert setup.client_secret.startswith(f"{setup.reference}_secret_")
    customer = stripe_server.book.customers[setup.customer_reference]
    assert customer["metadata"] == {
        "flint_customer_id": request.customer_id,
        "flint_environment_id": stripe_environment.id,
    }
    made = stripe_server.book.setups[setup.reference]
    assert (made["usage"], made["payment_method_types"]) == ("off_session", ["card"])
    assert setup.created_at.timestamp() == made["created"]


def test_a_customer_is_made_once_and_then_used(stripe_server, stripe_environment):
    request = setup_request(stripe_environment, usage="on_session")
    first = processor.begin_setup(request)
    second = processor.begin_setup(replace(request, operation_id=new_id("pms")))
    third = processor.begin_setup(
        replace(request, operation_id=new_id("pms"), customer_reference=first.customer_reference)
    )

    assert first.customer_reference == second.customer_reference == third.customer_reference
    assert len(stripe_server.book.customers) == 1
    assert len(stripe_server.book.setups) == 3
    assert stripe_server.book.setups[first.reference]["usage"] == "on_session"


def test_the_same_operation_is_the_same_setup_as_it_is_now(stripe_server, stripe_environment):
    request = setup_request(stripe_environment)
    first = processor.begin_setup(request)
    stripe_server.confirm_setup(first.reference)

    again = processor.begin_setup(request)

    assert (again.reference, again.status, again.client_secret) == (first.reference, "succeeded", first.client_secret)
    assert len(stripe_server.book.setups) == 1


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
@pytest.mark.parametrize("on", ["customer", "setup"])
def test_a_lost_answer_is_asked_for_and_repeated_without_harm(stripe_server, stripe_environment, on, fault):
    request = setup_request(stripe_environment)
    stripe_server.faults.plan(on=on, fault=fault)
    with pytest.raises(NoAnswer):
        processor.begin_setup(request)

    found = processor.find_setup(environment_id=stripe_environment.id, operation_id=request.operation_id)
    assert (found is not None) is (on == "setup" and fault == "lose_answer")

    setup = processor.begin_setup(request)
    assert len(stripe_server.book.customers) == len(stripe_server.book.setups) == 1
    found = processor.find_setup(
        environment_id=stripe_environment.id, operation_id=request.operation_id, since=setup.created_at
    )
    assert found == setup


def test_a_customer_that_was_deleted_is_made_anew(stripe_server, stripe_environment):
    request = setup_request(stripe_environment)
    gone = processor.begin_setup(request).customer_reference
    stripe_server.book.delete_customer(gone)

    with pytest.raises(Refused) as refused:
        processor.begin_setup(replace(request, operation_id=new_id("pms"), customer_reference=gone))
    assert refused.value.code == "not_found"

    anew = processor.begin_setup(replace(request, operation_id=new_id("pms")))
    assert anew.customer_reference != gone


def test_a_saved_card_shows_what_a_receipt_shows_and_pays_without_the_buyer(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    assert setup.status == "succeeded"
    assert setup.source == SourceSummary("card", brand="visa", last4="4242", exp_month=8, exp_year=2034)

    for _ in range(2):
        payment = pay(
            stripe_environment,
            setup.token,
            customer_reference=setup.customer_reference,
            is_off_session=True,
        )
        assert (payment.status, payment.captured_amount) == ("succeeded", 10_000)

    sent = stripe_server.moves()[-1].sent
    assert (sent["customer"], sent["payment_method"], sent["off_session"]) == (
        setup.customer_reference,
        setup.token,
        "true",
    )


def test_a_payment_with_the_buyer_there_says_nothing_of_sessions_or_customers(stripe_server, stripe_environment):
    pay(stripe_environment)

    assert not {"customer", "off_session"} & stripe_server.moves()[-1].sent.keys()


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_card_that_the_bank_does_not_let_be_saved(stripe_server, stripe_environment, token, code):
    setup = processor.begin_setup(setup_request(stripe_environment))

    stripe_server.confirm_setup(setup.reference, token)

    state = see(setup)
    assert (state.status, state.error_code, state.token) == ("requires_payment_method", code, "")
    assert state.error_message
    stripe_server.confirm_setup(setup.reference)
    assert (see(setup).status, see(setup).error_code) == ("succeeded", "")


@pytest.mark.parametrize("passed", [True, False])
def test_a_buyer_authenticates_while_saving(stripe_server, stripe_environment, passed):
    setup = processor.begin_setup(setup_request(stripe_environment))
    stripe_server.confirm_setup(setup.reference, "pm_card_authenticationRequired")
    assert see(setup).status == "requires_action"

    stripe_server.authenticate(setup.reference, passed=passed)

    state = see(setup)
    assert state.status == ("succeeded" if passed else "requires_payment_method")
    assert state.error_code == ("" if passed else "authentication_required")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_authenticationRequired", ""),
        ("pm_card_threeDSecure2Required", "authentication_required"),
        ("pm_card_chargeCustomerFail", "card_declined"),
    ],
)
def test_what_a_saved_card_does_without_the_buyer(stripe_server, stripe_environment, token, code):
    setup = saved(stripe_server, stripe_environment, token)

    payment = pay(stripe_environment, setup.token, customer_reference=setup.customer_reference, is_off_session=True)

    assert (payment.status, payment.error_code) == ("requires_payment_method" if code else "succeeded", code)


def test_a_saved_card_pays_with_its_own_customer_only(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    other = processor.begin_setup(setup_request(stripe_environment)).customer_reference

    for customer in ("", other):
        with pytest.raises(Refused) as refused:
            pay(stripe_environment, setup.token, customer_reference=customer)
        assert refused.value.code == "invalid_payment_source"
    assert stripe_server.book.payments == {}


def test_a_forgotten_card_pays_no_more_and_may_be_forgotten_again(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    operation_id = new_id("pms")

    forget(setup, operation_id)
    forget(setup, operation_id)
    forget(setup)

    assert stripe_server.book.methods[setup.token]["customer"] is None
    with pytest.raises(Refused) as refused:
        pay(stripe_environment, setup.token, customer_reference=setup.customer_reference, is_off_session=True)
    assert refused.value.code == "invalid_payment_source"
    assert (see(setup).status, see(setup).error_code) == ("failed", "payment_method_unavailable")


def test_a_card_that_nobody_knows_is_forgotten_already(stripe_environment):
    processor.detach(environment_id=stripe_environment.id, token="pm_nobody", operation_id=new_id("pms"))


def test_a_refusal_to_forget_stands_while_the_card_is_kept(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    stripe_server.faults.plan(on="detach", fault="error", status=400)

    with pytest.raises(Refused):
        forget(setup)


def test_an_outage_while_forgetting_is_no_success(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    stripe_server.faults.plan(on="detach", fault="drop")

    with pytest.raises(NoAnswer):
        forget(setup)
    assert stripe_server.book.methods[setup.token]["customer"] == setup.customer_reference


@pytest.mark.django_db(transaction=True)
def test_neither_is_done_inside_a_transaction(stripe_server, stripe_environment):
    for call in (
        lambda: processor.begin_setup(setup_request(stripe_environment)),
        lambda: processor.detach(environment_id=stripe_environment.id, token="pm_1", operation_id="pms_1"),
    ):
        with transaction.atomic(), pytest.raises(RuntimeError):
            call()
    assert stripe_server.moves() == []


@pytest.mark.parametrize("reference", ["", "seti_nobody"])
def test_a_setup_that_is_not_there_is_none(stripe_environment, reference):
    assert processor.retrieve_setup(environment_id=stripe_environment.id, reference=reference) is None


def test_an_operation_that_began_nothing_is_not_found(stripe_server, stripe_environment):
    begun = processor.begin_setup(setup_request(stripe_environment))
    later = begun.created_at + timedelta(hours=1)

    for operation_id, since in ((new_id("pms"), None), ("", None), (begun.operation_id, later)):
        found = processor.find_setup(environment_id=stripe_environment.id, operation_id=operation_id, since=since)
        assert found is None


def test_a_payment_with_a_saved_card_is_made_once(stripe_server, stripe_environment):
    setup = saved(stripe_server, stripe_environment)
    request = payment_request(
        stripe_environment, setup.token, customer_reference=setup.customer_reference, is_off_session=True
    )

    first, again = processor.confirm(request), processor.confirm(request)

    assert first.reference == again.reference
    assert [charge["amount_captured"] for charge in stripe_server.book.charges()] == [eur(10_000).amount]


@pytest.mark.parametrize(
    ("at_stripe", "here"),
    [
        ("requires_payment_method", "requires_payment_method"),
        ("requires_confirmation", "requires_payment_method"),
        ("requires_action", "requires_action"),
        ("processing", "processing"),
        ("succeeded", "succeeded"),
        ("canceled", "canceled"),
    ],
)
def test_every_status(at_stripe, here):
    made = shapes.setup_intent(livemode=False, created=1, customer="cus_1", metadata={}) | {"status": at_stripe}

    assert setup_state(ACCOUNT, made).status == here


def test_a_step_that_is_a_page_of_its_own_is_shown():
    step = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/3ds"}}
    made = shapes.setup_intent(livemode=False, created=1, customer="cus_1", metadata={})

    state = setup_state(ACCOUNT, made | {"status": "requires_action", "next_action": step})

    assert state.redirect_url == "https://bank.example/3ds"
    assert setup_state(ACCOUNT, made).redirect_url is None


@pytest.mark.parametrize(
    ("foreign", "error"),
    [
        ({"livemode": True}, NotOurs),
        ({"metadata": {"flint_environment_id": "env_2"}}, NotOurs),
        ({"status": "requires_patience"}, DoesNotFit),
    ],
)
def test_what_is_not_ours_or_not_known_is_not_read(foreign, error):
    with pytest.raises(error):
        setup_state(ACCOUNT, shapes.setup_intent(livemode=False, created=1, metadata={}) | foreign)
