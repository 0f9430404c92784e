"""Asking for a receipt once more: when there is one, how often, and where a buyer may have it sent."""

from datetime import timedelta
from functools import partial

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.celery import collecting
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stories import actor_in, settled
from orders.services import close_order
from payments.messages import asking
from payments.services.sessions import credentials
from payments.tests.acts import at_once, nothing_moves
from payments.tests.buyers import Buyer, buyer_of
from payments.tests.mails import ADA, last_mail, paid

BOB = "bob@buyer.example"


def send(client, order, email: str | None = None, **options):
    """Ask for the receipt over HTTP, and send what that brings about."""
    with settled():
        return client.post(f"/v1/orders/{order.id}/send-receipt", {"email": email} if email else None, **options)


def time_passes(order, **delta) -> None:
    """Make what was sent so far older."""
    for message in Message.objects.filter(order=order):
        Message.objects.filter(id=message.id).update(created_at=message.created_at - timedelta(**delta))


def paid_by_buyer(environment, email: str = "") -> tuple:
    """An order that was paid in a checkout, and its buyer."""
    order = stories.open_order(environment)
    buyer = buyer_of(order)
    body = {"action": "pay", "payment_source": {"confirmation_token": "ctoken_card_visa"}}
    if email:
        body["buyer_contact"] = {"email": email}
    with settled():
        assert buyer.post(f"/v1/orders/{order.id}/pay", body).status_code == 200
    return order, buyer


class TestAMerchant:
    def test_sends_it_to_the_address_on_file(self, api, environment):
        order = paid(environment)
        time_passes(order, minutes=6)
        answer = send(api, order)
        assert (answer.status_code, answer.data) == (200, {"success": True})
        assert [each.to for each in mail.outbox] == [[ADA], [ADA]]
        assert order.events.get(type="order.message_requested").actor_kind == "key"

    def test_sends_it_anywhere_else(self, api, environment):
        order = paid(environment)
        for name in ("bob", "carol", "dave", "eve"):
            assert send(api, order, f"{name}@buyer.example").status_code == 200
        assert len(mail.outbox) == 5

    def test_sends_it_of_an_order_that_is_closed_and_given_back(self, api, environment):
        order = paid(environment, email="")
        stories.refund(order)
        close_order(order_id=order.id, reason="", actor=actor_in(environment))
        assert send(api, order, ADA).status_code == 200
        assert "Refunded" in last_mail().body

    @pytest.mark.parametrize("email", ["nobody", "a@b.example\nBcc: c@d.example", "", 7, None, "a@b.example,c@d.ex"])
    def test_names_a_proper_address(self, api, environment, email):
        order = paid(environment)
        with nothing_moves(order):
            answer = api.post(f"/v1/orders/{order.id}/send-receipt", {"email": email})
        assert answer.status_code == 400 and len(mail.outbox) == 1

    def test_needs_an_order_that_is_paid(self, api, environment):
        for order in (stories.open_order(environment), stories.held_order(environment)):
            with nothing_moves(order):
                assert send(api, order, ADA).code == "ORDER_RECEIPT_NOT_AVAILABLE"

    def test_needs_an_address(self, api, environment):
        order = paid(environment, email="")
        with nothing_moves(order):
            answer = send(api, order)
        assert (answer.status_code, answer.code) == (409, "ORDER_RECEIPT_EMAIL_UNAVAILABLE")

    def test_who_writes_receipts_itself_is_told_so(self, api, environment):
        order = paid(environment)
        stories.merchant_sends(environment, "receipts")
        assert send(api, order, BOB).code == "ORDER_RECEIPT_MERCHANT_MANAGED"

    def test_needs_the_scope(self, environment):
        order = paid(environment)
        reader = client_of(environment, scopes=["commerce.orders.read"])
        assert send(reader, order).code == "INSUFFICIENT_SCOPE"

    def test_is_answered_the_same_for_the_same_key(self, api, environment):
        order = paid(environment)
        first, again = send(api, order, BOB, key="once"), send(api, order, BOB, key="once")
        assert first.data == again.data == {"success": True} and again["Idempotency-Replayed"] == "true"
        assert [each.to for each in mail.outbox] == [[ADA], [BOB]]


class TestFiveMinutes:
    def test_pass_before_the_same_address_gets_it_again(self, api, environment):
        order = paid(environment)
        with nothing_moves(order):
            answer = send(api, order, "  ADA@Buyer.example".strip())
        assert (answer.status_code, answer.code) == (429, "ORDER_RECEIPT_RESEND_RATE_LIMITED")
        assert 0 < int(answer["Retry-After"]) <= 300
        time_passes(order, minutes=5)
        assert send(api, order).status_code == 200

    def test_are_of_one_order_and_one_address(self, api, environment):
        first, second = paid(environment), paid(environment, email="")
        assert send(api, second, ADA).status_code == 200
        assert send(api, first, BOB).status_code == 200

    def test_do_not_count_for_one_that_could_not_be_sent(self, api, environment):
        order = paid(environment, email="")
        with collecting():
            api.post(f"/v1/orders/{order.id}/send-receipt", {"email": ADA})
        message = Message.objects.get()
        message.give_up(error="SMTPDataError 554")
        message.save()
        assert send(api, order, ADA).status_code == 200


class TestABuyer:
    def test_has_it_sent_to_the_address_on_file(self, environment):
        order, buyer = paid_by_buyer(environment, ADA)
        time_passes(order, minutes=6)
        assert send(buyer, order).data == {"success": True}
        time_passes(order, minutes=6)
        assert send(buyer, order, ADA.upper()).status_code == 200
        assert order.events.filter(type="order.message_requested", actor_kind="customer").count() == 2

    def test_has_it_sent_nowhere_else(self, environment):
        order, buyer = paid_by_buyer(environment, ADA)
        with nothing_moves(order):
            assert send(buyer, order, BOB).code == "ORDER_RECEIPT_EMAIL_UNAVAILABLE"
        assert [each.to for each in mail.outbox] == [[ADA]]

    def test_names_three_addresses_at_most_where_none_is_on_file(self, environment):
        order, buyer = paid_by_buyer(environment)
        names = ["bob", "carol", "dave"]
        for name in names:
            assert send(buyer, order, f"{name}@buyer.example").status_code == 200
        time_passes(order, days=300)
        with nothing_moves(order):
            refused = send(buyer, order, "eve@buyer.example")
        assert (refused.code, refused.error["limit"]) == ("ORDER_RECEIPT_EMAIL_UNAVAILABLE", 3)
        assert send(buyer, order, "BOB@buyer.example").status_code == 200
        assert len(mail.outbox) == 4

    def test_of_another_order_is_refused(self, environment):
        order, _ = paid_by_buyer(environment, ADA)
        _, other = paid_by_buyer(environment, BOB)
        assert send(other, order).code == "CHECKOUT_SESSION_ORDER_MISMATCH"
        nobody = Buyer(other.session_id, "cst_wrong", environment)
        assert send(nobody, order).code == "INVALID_CHECKOUT_SESSION"

    def test_cannot_ask_before_it_is_paid(self, environment):
        order = stories.open_order(environment)
        assert send(buyer_of(order), order, ADA).code == "ORDER_RECEIPT_NOT_AVAILABLE"


@pytest.mark.django_db(transaction=True)
def test_two_at_once_send_it_once(environment):
    for _ in range(5):
        order = paid(environment, email="")
        with collecting():
            ask = partial(asking.send_receipt, order_id=order.id, email=ADA, actor=actor_in(environment))
            results = at_once(ask, ask, ask)
        assert sorted(type(each).__name__ for each in results) == ["Message", *["OrderReceiptResendRateLimited"] * 2]
        assert Message.objects.filter(order=order).count() == 1


@pytest.mark.django_db(transaction=True)
def test_at_once_a_buyer_names_three_addresses_at_most(environment):
    order, buyer = paid_by_buyer(environment)
    actor = credentials.buyer_of(buyer.session, at=timezone.now())
    with collecting():
        results = at_once(
            *[
                lambda name=name: asking.send_receipt(order_id=order.id, email=f"{name}@buyer.example", actor=actor)
                for name in ("bob", "carol", "dave", "eve", "frank")
            ]
        )
    refused = [each for each in results if isinstance(each, asking.OrderReceiptEmailUnavailable)]
    assert len(refused) == 2 and Message.objects.filter(order=order).count() == 3


def test_asking_takes_a_fixed_number_of_statements(api, environment):
    counts = set()
    for lines in (1, 12):
        order = paid(environment, *[stories.line(100) for _ in range(lines)], email="")
        with collecting(), CaptureQueriesContext(connection) as counted:
            assert api.post(f"/v1/orders/{order.id}/send-receipt", {"email": ADA}).status_code == 200
        counts.add(len(counted))
    assert len(counts) == 1 and counts.pop() <= 20
