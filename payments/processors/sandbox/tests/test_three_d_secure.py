"""The buyer's page: clear, scriptless, and applied once."""

import json

import pytest
from django.test import Client

from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.tests.calls import ENVIRONMENT, cancel, pay, see

pytestmark = pytest.mark.django_db


def challenge(**changes):
    payment = pay("pm_card_threeDSecure2Required", **changes)
    return payment, f"/sandbox/3ds/{payment.action.client_secret}"


def test_the_page_says_that_it_is_a_test_and_runs_no_script(client):
    _, url = challenge(amount=12_345)

    response = client.get(url)

    page = response.content.decode()
    assert response.status_code == 200
    assert "This is a test" in page
    assert "€123.45" in page
    assert "<script" not in page
    assert "style=" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"]


def test_the_page_changes_nothing_by_being_looked_at(client):
    payment, url = challenge()

    client.get(url)

    assert see(payment) == payment


@pytest.mark.parametrize(
    ("outcome", "capture_method", "status", "code"),
    [
        ("pass", "automatic", "succeeded", ""),
        ("pass", "manual", "requires_capture", ""),
        ("fail", "automatic", "requires_payment_method", "authentication_required"),
        ("fail", "manual", "requires_payment_method", "authentication_required"),
    ],
)
def test_what_the_buyer_does_is_applied(client, outcome, capture_method, status, code):
    payment, url = challenge(capture_method=capture_method)

    response = client.post(url, {"outcome": outcome})

    assert response.status_code == 200
    assert "close this page" in response.content.decode()
    assert (see(payment).status, see(payment).error_code, see(payment).action) == (status, code, None)


@pytest.mark.parametrize("second", ["pass", "fail"])
def test_a_second_answer_changes_nothing(client, second):
    payment, url = challenge()
    client.post(url, {"outcome": "pass"})

    response = client.post(url, {"outcome": second})

    assert response.status_code == 200
    assert see(payment).status == "succeeded"
    assert effects(ENVIRONMENT).charges.total == 10_000


def test_a_failed_authentication_cannot_be_passed_afterwards(client):
    payment, url = challenge()
    client.post(url, {"outcome": "fail"})

    client.post(url, {"outcome": "pass"})

    assert see(payment).status == "requires_payment_method"
    assert effects(ENVIRONMENT) == []


def test_an_answer_for_a_canceled_payment_changes_nothing(client):
    payment, url = challenge()
    cancel(payment)

    client.post(url, {"outcome": "pass"})

    assert see(payment).status == "canceled"
    assert "canceled" in client.get(url).content.decode()


def test_the_buyer_is_sent_back_to_the_shop(client):
    _, url = challenge(return_url="https://shop.example:8443/thanks?order=1")

    assert "form-action 'self' https://shop.example:8443;" in client.get(url)["Content-Security-Policy"]
    response = client.post(url, {"outcome": "fail"})

    assert response.status_code == 302
    assert response["Location"] == "https://shop.example:8443/thanks?order=1"


@pytest.mark.parametrize(
    "return_url",
    [
        "javascript:alert(1)",
        "data:text/html,hi",
        "//shop.example",
        "shop.example/thanks",
        "https://shop.example; script-src 'unsafe-inline'/",
        "https://[::bad/",
        "https://shop.example:port/",
    ],
)
def test_the_buyer_is_sent_nowhere_else(client, return_url):
    payment, url = challenge(return_url=return_url)

    policy = client.get(url)["Content-Security-Policy"]
    response = client.post(url, {"outcome": "pass"})

    assert "form-action 'self';" in policy
    assert "script-src" not in policy
    assert response.status_code == 200
    assert see(payment).status == "succeeded"
    assert 'href="' + return_url not in response.content.decode()


@pytest.mark.parametrize("data", [{}, {"outcome": "maybe"}])
@pytest.mark.parametrize("suffix", ["", "/complete"])
def test_an_unclear_answer_is_refused(client, data, suffix):
    payment, url = challenge()

    assert client.post(url + suffix, data).status_code == 400
    assert see(payment) == payment


@pytest.mark.parametrize("suffix", ["", "/complete"])
def test_a_wrong_secret_opens_nothing(client, suffix):
    assert client.post(f"/sandbox/3ds/sbp_secret_wrong{suffix}", {"outcome": "pass"}).status_code == 404


def test_the_form_is_protected_and_a_script_has_its_own_door():
    strict = Client(enforce_csrf_checks=True)
    payment, url = challenge()

    assert strict.post(url, {"outcome": "pass"}).status_code == 403
    assert see(payment).status == "requires_action"

    response = strict.post(f"{url}/complete", {"outcome": "pass"})
    assert response.status_code == 200
    assert json.loads(response.content)["status"] == "succeeded"
    assert see(payment).status == "succeeded"
    assert strict.get(f"{url}/complete").status_code == 405


def test_the_form_works_with_its_token():
    strict = Client(enforce_csrf_checks=True)
    payment, url = challenge()
    strict.get(url)

    strict.post(url, {"outcome": "pass", "csrfmiddlewaretoken": strict.cookies["csrftoken"].value})

    assert see(payment).status == "succeeded"
