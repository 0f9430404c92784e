"""Cards that the network keeps: begun once, declined or kept, charged with their customer alone, and forgotten."""

import json

import pytest
from django.test import Client

from flint.ids import new_id
from payments.processors.base import NoAnswer, Refused, SetupRequest, Unreachable
from payments.processors.sandbox import faults, setups
from payments.processors.sandbox.models import SandboxNotice, SandboxSetup, SandboxToken
from payments.processors.sandbox.tests.calls import ENVIRONMENT, OTHER_ENVIRONMENT, at_once, network, pay

pytestmark = pytest.mark.django_db

CARD = {"number": "4242 4242 4242 4242", "exp_month": "12", "exp_year": "34", "cvc": "123", "outcome": "pass"}


def request(**changes) -> SetupRequest:
    return SetupRequest(
        **{
            "operation_id": new_id("pms"),
            "payment_method_id": "pm_1",
            "environment_id": ENVIRONMENT,
            "customer_id": "cus_ADA",
            **changes,
        }
    )


def begin(**changes):
    return network.begin_setup(request(**changes))


def see(setup):
    return network.retrieve_setup(environment_id=setup.environment_id, reference=setup.reference)


def kept(token="pm_card_visa", **changes):
    """A setup whose card is kept."""
    setup = begin(**changes)
    setups.complete(setup.client_secret, token=token)
    return see(setup)


def test_it_begins_with_a_secret_and_no_card():
    setup = begin()

    assert (setup.status, setup.token, setup.source) == ("requires_payment_method", "", None)
    assert setup.client_secret.startswith("sbs_secret_")
    assert setup.redirect_url.endswith(f"/sandbox/cards/{setup.client_secret}")
    assert setup.customer_reference == "sbc_ADA"
    assert see(setup) == setup


def test_the_same_operation_begins_the_same_setup():
    asked = request()

    first, again = network.begin_setup(asked), network.begin_setup(asked)

    assert again == first
    assert SandboxSetup.objects.count() == 1
    assert network.find_setup(environment_id=ENVIRONMENT, operation_id=asked.operation_id) == first


def test_an_operation_for_something_else_is_refused():
    asked = request()
    network.begin_setup(asked)

    with pytest.raises(Refused) as refused:
        begin(operation_id=asked.operation_id, customer_id="cus_BOB")

    assert refused.value.code == "idempotency_mismatch"


@pytest.mark.django_db(transaction=True)
def test_two_at_once_begin_one():
    for _ in range(20):
        asked = request()

        first, second = at_once(lambda asked=asked: network.begin_setup(asked), 2)

        assert first == second
        assert SandboxSetup.objects.filter(operation_id=asked.operation_id).count() == 1


def test_it_knows_its_own_customers_name_alone():
    assert begin(customer_reference="sbc_ADA").customer_reference == "sbc_ADA"
    with pytest.raises(Refused):
        begin(customer_reference="sbc_BOB")


def test_nobody_elses_is_shown():
    setup = begin()

    assert network.retrieve_setup(environment_id=OTHER_ENVIRONMENT, reference=setup.reference) is None
    assert network.find_setup(environment_id=OTHER_ENVIRONMENT, operation_id=setup.operation_id) is None
    assert network.find_setup(environment_id=ENVIRONMENT, operation_id="") is None


@pytest.mark.parametrize(
    ("fault", "raised", "begun"),
    [("lose_answer", NoAnswer, 1), ("never_executed", NoAnswer, 0), ("unreachable", Unreachable, 0)],
)
def test_it_fails_on_cue(fault, raised, begun):
    faults.plan(ENVIRONMENT, on="setup", fault=fault)

    with pytest.raises(raised):
        begin()

    assert SandboxSetup.objects.count() == begun


def test_a_kept_card_pays_with_its_customer():
    setup = kept()

    assert (setup.status, setup.source.brand, setup.source.last4) == ("succeeded", "visa", "4242")
    assert pay(setup.token, customer_reference="sbc_ADA").status == "succeeded"
    for customer in ("", "sbc_BOB"):
        with pytest.raises(Refused) as refused:
            pay(setup.token, customer_reference=customer)
        assert refused.value.code == "invalid_payment_source"


def test_a_kept_card_is_unknown_elsewhere():
    setup = kept()

    with pytest.raises(Refused):
        pay(setup.token, environment_id=OTHER_ENVIRONMENT, customer_reference="sbc_ADA")


@pytest.mark.parametrize(
    ("token", "is_off_session", "status", "code"),
    [
        ("pm_card_threeDSecure2Required", False, "requires_action", ""),
        ("pm_card_threeDSecure2Required", True, "requires_payment_method", "authentication_required"),
        ("pm_card_authenticationRequired", True, "succeeded", ""),
        ("pm_card_chargeCustomerFail", True, "requires_payment_method", "card_declined"),
        ("pm_card_visa", True, "succeeded", ""),
    ],
)
def test_who_has_to_be_there(token, is_off_session, status, code):
    setup = kept(token)

    payment = pay(setup.token, customer_reference="sbc_ADA", is_off_session=is_off_session)

    assert (payment.status, payment.error_code) == (status, code)


def test_a_declined_card_is_not_kept_and_another_one_may_be():
    setup = begin()

    setups.complete(setup.client_secret, token="pm_card_chargeDeclined")
    assert (see(setup).status, see(setup).error_code, see(setup).token) == ("failed", "card_declined", "")
    setups.complete(setup.client_secret, token="pm_card_visa")

    assert (see(setup).status, see(setup).error_code) == ("succeeded", "")
    assert list(SandboxNotice.objects.order_by("id").values_list("kind", "type", "reference")) == [
        ("setup", "setup.failed", setup.reference),
        ("setup", "setup.succeeded", setup.reference),
    ]


def test_once_a_card_is_kept_nothing_happens_any_more():
    setup = kept()

    setups.complete(setup.client_secret, token="pm_card_mastercard")

    assert see(setup) == setup
    assert SandboxNotice.objects.count() == 1


@pytest.mark.parametrize("token", ["pm_usBankAccount_success", "pm_unknown", ""])
def test_what_is_no_card_is_refused(token):
    setup = begin()

    with pytest.raises(Refused):
        setups.complete(setup.client_secret, token=token)

    assert see(setup) == setup


def test_a_forgotten_card_pays_no_more_and_forgetting_it_again_is_no_error():
    setup = kept()
    payment = pay(setup.token, customer_reference="sbc_ADA")

    for _ in range(2):
        network.detach(environment_id=ENVIRONMENT, token=setup.token, operation_id="pm_1")

    with pytest.raises(Refused):
        pay(setup.token, customer_reference="sbc_ADA")
    assert network.retrieve_payment(environment_id=ENVIRONMENT, reference=payment.reference) == payment
    assert see(setup).token == ""


def test_nobody_forgets_for_another_environment():
    setup = kept()

    network.detach(environment_id=OTHER_ENVIRONMENT, token=setup.token, operation_id="pm_1")

    assert SandboxToken.objects.filter(token=setup.token).exists()


class TestThePage:
    """Where the buyer hands in a card, without a script."""

    def test_it_says_that_it_is_a_test_and_runs_no_script(self, client):
        response = client.get(f"/sandbox/cards/{begin().client_secret}")

        page = response.content.decode()
        assert response.status_code == 200
        assert "This is a test" in page
        assert "<script" not in page
        assert "style=" not in page
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert response["Referrer-Policy"] == "same-origin"
        assert "no-store" in response["Cache-Control"]

    def test_a_typed_card_is_kept_with_its_date_and_without_its_number(self, client):
        setup = begin()

        response = client.post(f"/sandbox/cards/{setup.client_secret}", CARD)

        assert "Card saved" in response.content.decode()
        source = see(setup).source
        assert (source.last4, source.exp_month, source.exp_year) == ("4242", 12, 2034)
        rows = str([*SandboxToken.objects.values(), *SandboxSetup.objects.values(), *SandboxNotice.objects.values()])
        assert "4242424242424242" not in rows.replace(" ", "")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"number": "4111 1111 1111 1111"}, "published test cards only"),
            ({"exp_year": "2020"}, "expired"),
            ({"exp_month": "13"}, "expired"),
            ({"exp_month": "soon"}, "expired"),
            ({"cvc": "12"}, "security code"),
            ({"outcome": "maybe"}, "pass or fail"),
        ],
    )
    def test_a_card_that_cannot_be_is_refused_with_the_reason(self, client, changes, words):
        setup = begin()

        response = client.post(f"/sandbox/cards/{setup.client_secret}", {**CARD, **changes})

        assert response.status_code == 400
        assert words in response.content.decode()
        assert see(setup) == setup

    def test_a_declined_card_is_told_and_another_one_asked_for(self, client):
        setup = begin()

        page = client.post(f"/sandbox/cards/{setup.client_secret}", {**CARD, "number": "4000000000000002"})

        assert page.status_code == 200
        assert "The card was declined." in page.content.decode()
        assert "<form" in page.content.decode()
        assert see(setup).status == "failed"

    @pytest.mark.parametrize(("outcome", "status"), [("pass", "succeeded"), ("fail", "failed")])
    def test_the_bank_may_ask_who_it_is(self, client, outcome, status):
        setup = begin()

        card = {**CARD, "number": "4000002500003155", "outcome": outcome}
        client.post(f"/sandbox/cards/{setup.client_secret}", card)

        assert see(setup).status == status

    def test_the_page_of_a_card_that_was_removed_says_so(self, client):
        setup = kept()
        network.detach(environment_id=ENVIRONMENT, token=setup.token, operation_id="pm_1")

        assert "Card removed" in client.get(f"/sandbox/cards/{setup.client_secret}").content.decode()

    @pytest.mark.parametrize("suffix", ["", "/complete"])
    def test_a_wrong_secret_opens_nothing(self, client, suffix):
        assert client.post(f"/sandbox/cards/sbs_secret_wrong{suffix}", CARD).status_code == 404

    def test_the_form_is_protected_and_a_script_has_its_own_door(self):
        strict = Client(enforce_csrf_checks=True)
        setup = begin()
        url = f"/sandbox/cards/{setup.client_secret}"

        assert strict.post(url, CARD).status_code == 403
        assert see(setup) == setup
        strict.get(url)
        refused = strict.post(f"{url}/complete", {"token": "pm_nothing"})
        assert refused.status_code == 400
        answer = strict.post(f"{url}/complete", {"token": "pm_card_visa"})

        assert json.loads(answer.content) == {"status": "succeeded", "error_code": ""}
        assert strict.get(f"{url}/complete").status_code == 405
