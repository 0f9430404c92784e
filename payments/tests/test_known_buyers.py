"""On the hosted page: a buyer shows by a code who they are, saves a card, and pays with it the next time."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from flint.testing.stories import settled
from payments.checkout.access import COOKIE
from payments.models import CheckoutCredential, CustomerVerification, PaymentMethod
from payments.tests.test_hosted_page import CARD, form_of, let_in, opened, page_of

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@buyer.example"


@pytest.fixture(autouse=True)
def nobody_tried_before():
    cache.clear()


def ask(buyer: Client, path: str, email: str = ADA) -> str:
    """Have a code sent, and return the address where it is entered."""
    with settled():
        answer = buyer.post(f"{path}/code", {"code_email": email})
    assert answer.status_code == 303, answer.content.decode()
    return answer.headers["Location"]


def code_sent() -> str:
    return re.match("[0-9]{6}", mail.outbox[-1].subject)[0]


def enter(buyer: Client, path: str, code: str):
    verification = CustomerVerification.objects.order_by("-created_at", "-id")[0]
    return buyer.post(f"{path}/code/{verification.id}", {"code": code})


def known(session, email: str = ADA) -> tuple[Client, str]:
    """A browser whose buyer has shown who they are."""
    buyer, path = let_in(session), page_of(session)
    ask(buyer, path, email)
    assert enter(buyer, path, code_sent()).status_code == 303
    return buyer, path


def shown(buyer: Client, path: str) -> str:
    return buyer.get(path).content.decode()


def pay(buyer: Client, path: str, **fields):
    answer = buyer.post(f"{path}/pay", {**form_of(buyer.get(path)), **fields})
    assert answer.status_code == 303, answer.content.decode()


def test_a_card_is_saved_and_pays_the_next_time(api):
    buyer, path = known(opened(api))
    page = shown(buyer, path)
    assert f"You are here as {ADA}." in page and 'name="save"' in page and 'name="saved"' not in page
    assert f'value="{ADA}"' in page, "the receipt goes there too"
    pay(buyer, path, **CARD, save="yes")
    method = PaymentMethod.objects.get()
    assert (method.status, method.usage, method.exp_month, method.exp_year) == ("active", "on_session", 12, 2034)

    later, path = known(opened(api, amount=2_000))
    page = shown(later, path)
    assert f'name="saved" value="{method.id}" checked' in page and "Visa •••• 4242" in page and "12/34" in page
    pay(later, path, saved=method.id)
    assert "Thank you, your order is paid" in shown(later, path)
    assert PaymentMethod.objects.count() == 1


def test_nothing_is_saved_that_was_not_asked_for(api):
    buyer, path = known(opened(api))
    pay(buyer, path, **CARD)
    assert not PaymentMethod.objects.exists()


def test_nobody_saves_without_having_shown_who_they_are(api):
    session = opened(api)
    buyer, path = let_in(session), page_of(session)
    page = shown(buyer, path)
    assert 'name="code_email"' in page and 'name="save"' not in page
    pay(buyer, path, **CARD, save="yes")
    assert not PaymentMethod.objects.exists(), "the payment works all the same"


def test_somebody_elses_card_does_not_pay(api):
    buyer, path = known(opened(api))
    pay(buyer, path, **CARD, save="yes")
    method = PaymentMethod.objects.get()
    for stranger, path in (known(opened(api), "bob@buyer.example"), (let_in(other := opened(api)), page_of(other))):
        answer = stranger.post(f"{path}/pay", {**form_of(stranger.get(path)), "saved": method.id})
        assert answer.status_code == 422 and "nothing was charged" in answer.content.decode()


def test_a_wrong_code_is_said_kindly_and_the_right_one_still_counts(api):
    session = opened(api)
    buyer, path = let_in(session), page_of(session)
    where = ask(buyer, path)
    assert where.endswith("#code")
    assert "We sent six digits to ada@buyer.example." in shown(buyer, where.removesuffix("#code"))
    code = code_sent()
    wrong = enter(buyer, path, f"{(int(code) + 1) % 1_000_000:06}")
    assert wrong.status_code == 422 and "This is not the code" in wrong.content.decode()
    assert 'id="code" name="code"' in wrong.content.decode() and code not in wrong.content.decode()
    assert enter(buyer, path, f"{code[:3]} {code[3:]}").status_code == 303
    assert f"You are here as {ADA}." in shown(buyer, path)


def test_another_browser_of_the_same_link_is_not_let_in_with_it(api):
    session = opened(api)
    buyer, path = known(session)
    other = let_in(session)
    assert ADA not in shown(other, path) and 'name="code_email"' in shown(other, path)
    assert buyer.cookies[COOKIE].value != other.cookies[COOKIE].value


def test_whoever_is_not_the_one_leaves_and_the_secret_with_them(api):
    buyer, path = known(opened(api))
    secret = buyer.cookies[COOKIE].value
    assert buyer.post(f"{path}/forget").status_code == 303
    assert "You are here as" not in shown(buyer, path) and 'name="code_email"' in shown(buyer, path)
    assert not CheckoutCredential.objects.filter(customer__isnull=False).exists()
    buyer.cookies[COOKIE] = secret
    assert buyer.get(path).status_code == 404


def test_it_is_not_offered_where_the_merchant_does_not_want_it(api):
    api.patch("/v1/settings", {"checkout": {"saved_payment_details": {"enabled": False}}})
    session = opened(api)
    buyer, path = let_in(session), page_of(session)
    assert 'name="code_email"' not in shown(buyer, path)
    refused = buyer.post(f"{path}/code", {"code_email": ADA})
    assert refused.status_code == 422 and mail.outbox == []


@pytest.mark.parametrize("email", ["", "nobody", "a@b.example\r\nBcc: c@d.example"])
def test_no_address_no_code(api, email):
    session = opened(api)
    buyer, path = let_in(session), page_of(session)
    answer = buyer.post(f"{path}/code", {"code_email": email})
    assert answer.status_code == 422 and "Check the email address." in answer.content.decode()
    assert mail.outbox == []
