"""Cards that are kept because the payment said so."""

from dataclasses import replace

import pytest
from django.db import transaction
from django.utils import timezone

from flint.ids import new_id
from payments.processors.base import Refused
from payments.processors.sandbox import network as rails
from payments.processors.sandbox.models import SandboxPayment, SandboxSetup
from payments.processors.sandbox.tests.calls import ENVIRONMENT, payment_request
from payments.processors.sandbox.tests.calls import network as processor

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMER = "cus_01J00000000000000000000000"


def request(token: str = "ctoken_card_visa", **changes):
    return replace(payment_request(), token=token, **{"keep_for": CUSTOMER, **changes})


def test_a_card_that_paid_is_kept_and_pays_again():
    paid = processor.confirm(request())
    assert paid.status == "succeeded" and paid.kept_token.startswith("pm_")
    assert 1 <= paid.source.exp_month <= 12 and paid.source.exp_year > 2026
    again = processor.confirm(
        request(paid.kept_token, keep_for="", customer_reference=paid.customer_reference, is_off_session=True)
    )
    assert (again.status, again.kept_token, again.source.last4) == ("succeeded", "", "4242")
    with pytest.raises(Refused):
        processor.confirm(request(paid.kept_token, keep_for="", customer_reference=""))


def test_a_repeat_keeps_it_once():
    wish = request()
    assert processor.confirm(wish).kept_token == processor.confirm(wish).kept_token
    assert SandboxSetup.objects.count() == 1


def test_a_declined_card_is_not_kept():
    refused = processor.confirm(request("ctoken_card_chargeDeclined"))
    assert refused.kept_token == "" and not SandboxSetup.objects.exists()


def test_nor_is_a_bank_account():
    under_way = processor.confirm(request("ctoken_usBankAccount_success"))
    assert SandboxPayment.objects.get(reference=under_way.reference).keep_for == ""


def test_a_card_whose_bank_asks_is_kept_once_the_buyer_has_answered():
    asked = processor.confirm(request("ctoken_card_threeDSecure2Required"))
    assert asked.status == "requires_action" and asked.kept_token == ""
    with transaction.atomic():
        rails.authenticate(rails.lock_payment(ENVIRONMENT, asked.reference), passed=True, at=timezone.now())
    now = processor.retrieve_payment(environment_id=ENVIRONMENT, reference=asked.reference)
    assert now.status == "succeeded" and now.kept_token


def test_a_kept_card_is_forgotten_on_request():
    paid = processor.confirm(request())
    processor.detach(environment_id=ENVIRONMENT, token=paid.kept_token, operation_id=new_id("pm"))
    with pytest.raises(Refused):
        processor.confirm(request(paid.kept_token, keep_for="", customer_reference=paid.customer_reference))
