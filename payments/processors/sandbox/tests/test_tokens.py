"""Numbers become tokens, and are forgotten."""

from datetime import timedelta

import pytest
from django.utils import timezone

from payments.processors.base import Refused
from payments.processors.sandbox import clock, tokens
from payments.processors.sandbox.models import SandboxToken
from payments.processors.sandbox.tests.calls import ENVIRONMENT, OTHER_ENVIRONMENT, give_back, pay, see

pytestmark = pytest.mark.django_db
NEXT_YEAR = timezone.now().year + 1


def card(number: str, *, month: int = 12, year: int = NEXT_YEAR, cvc: str = "", prefix: str = "pm") -> str:
    cvc = cvc or ("1234" if number.startswith("37") else "123")
    return tokens.tokenise(ENVIRONMENT, number, month, year, cvc, prefix=prefix)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("4242 4242 4242 4242", "succeeded", ""),
        ("4242-4242-4242-4242", "succeeded", ""),
        ("5555555555554444", "succeeded", ""),
        ("371449635398431", "succeeded", ""),
        ("4000000000009995", "requires_payment_method", "insufficient_funds"),
        ("4000000000000002", "requires_payment_method", "card_declined"),
        ("4000000000000069", "requires_payment_method", "expired_card"),
        ("4000000000000127", "requires_payment_method", "incorrect_cvc"),
        ("4000002500003155", "requires_action", ""),
        ("4000000000003220", "requires_action", ""),
    ],
)
@pytest.mark.parametrize("prefix", ["pm", "ctoken"])
def test_a_published_card_number_pays_as_published(number, status, code, prefix):
    token = card(number, prefix=prefix)

    payment = pay(token)

    assert token.startswith(f"{prefix}_")
    assert (payment.status, payment.error_code) == (status, code)
    assert payment.source.last4 == number.replace(" ", "").replace("-", "")[-4:]


def test_refunds_of_two_card_numbers_are_slow_or_bounce():
    assert give_back(pay(card("4000000000007726")), 100).status == "pending"
    assert give_back(pay(card("4000000000005126")), 100).status == "succeeded"


@pytest.mark.parametrize("number", tokens.CARD_NUMBERS)
def test_the_number_is_forgotten(number):
    card(number)

    stored = SandboxToken.objects.values().get()
    assert all(number not in str(value) for value in stored.values())
    assert stored["last4"] == number[-4:]


@pytest.mark.parametrize(
    ("number", "changes", "code"),
    [
        ("4111111111111111", {}, "invalid_payment_source"),
        ("", {}, "invalid_payment_source"),
        ("4242424242424242", {"year": NEXT_YEAR - 2}, "expired_card"),
        ("4242424242424242", {"month": 13}, "expired_card"),
        ("4242424242424242", {"cvc": "12"}, "incorrect_cvc"),
        ("4242424242424242", {"cvc": "abc"}, "incorrect_cvc"),
        ("371449635398431", {"cvc": "123"}, "incorrect_cvc"),
    ],
)
def test_anything_else_is_refused_and_not_stored(number, changes, code):
    with pytest.raises(Refused) as refusal:
        card(number, **changes)

    assert refusal.value.code == code
    assert not SandboxToken.objects.exists()


@pytest.mark.parametrize(
    ("account", "status", "code"),
    [
        ("000123456789", "succeeded", ""),
        ("000000000009", "processing", ""),
        ("000222222227", "requires_payment_method", "insufficient_funds"),
        ("000111111113", "requires_payment_method", "bank_account_closed"),
    ],
)
def test_a_published_bank_account_pays_as_published(account, status, code):
    payment = pay(tokens.tokenise_bank_account(ENVIRONMENT, "110000000", account))
    assert payment.status == "processing"

    clock.advance(timezone.now() + timedelta(seconds=6))

    assert (see(payment).status, see(payment).error_code) == (status, code)
    assert see(payment).source.last4 == account[-4:]


@pytest.mark.parametrize(("routing", "account"), [("110000001", "000123456789"), ("110000000", "000123456780")])
def test_any_other_bank_account_is_refused(routing, account):
    with pytest.raises(Refused) as refusal:
        tokens.tokenise_bank_account(ENVIRONMENT, routing, account)

    assert refusal.value.code == "invalid_payment_source"


def test_a_token_belongs_to_its_environment():
    token = card("4242424242424242")

    with pytest.raises(Refused) as refusal:
        pay(token, environment_id=OTHER_ENVIRONMENT)

    assert refusal.value.code == "invalid_payment_source"


def test_every_number_and_decline_is_explained():
    names = {*tokens.CARD_NUMBERS.values(), *tokens.ACCOUNT_NUMBERS.values()}
    assert names <= set(tokens.BEHAVIOURS)
    assert {behaviour.code for behaviour in tokens.BEHAVIOURS.values()} - {""} <= set(tokens.MESSAGES)
    for number, name in tokens.CARD_NUMBERS.items():
        assert tokens.BEHAVIOURS[name].last4 == number[-4:]
