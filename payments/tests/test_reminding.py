"""Buyers who left an address and did not pay are written to once, where the merchant wants it, never once they paid."""

import pytest
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from flint.celery import collecting
from flint.merchants.models import Merchant, Role
from flint.messages.models import Message
from flint.messages.sending import send_due
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import settled
from payments.models import CheckoutSession, PayLink
from payments.services.sessions.ending import expire_if_due
from payments.services.sessions.reminding import remind_abandoned
from payments.tests.acts import THREE_D_SECURE, at_once, later, pay
from payments.tests.buyers import Buyer, buyer_of
from payments.tests.mails import words_of
from payments.tests.test_hosted_page import let_in, opened, page_of

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = {"line1": "Ring 1", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE"}


@pytest.fixture
def wanted(api, merchant):
    cache.clear()
    Merchant.objects.filter(id=merchant.id).update(address=ADDRESS)
    chosen = {"enabled": True, "delay_seconds": 1_800}
    assert api.patch("/v1/settings", {"checkout": {"recovery_email": chosen}}).status_code == 200


def left(environment, email: str = "ada@buyer.example", *, order=None, **data) -> Buyer:
    """A buyer who typed an address and went away."""
    buyer = buyer_of(order or stories.open_order(environment, total=2_450), **data)
    path = f"/v1/checkout-sessions/{buyer.session_id}"
    assert buyer.patch(path, {"buyer_contact": {"email": email}}).status_code == 200
    return buyer


def remind(**delta) -> int:
    at = later(**(delta or {"minutes": 31}))
    with settled():
        told = remind_abandoned(at=at)
    send_due(at=at)
    return told


def test_a_buyer_who_left_is_written_to_once(environment, wanted):
    buyer = left(environment)
    assert remind(minutes=29) == 0 and mail.outbox == []
    assert remind() == 1
    (sent,) = mail.outbox
    said = words_of(sent)
    assert sent.to == ["ada@buyer.example"]
    assert "You can still pay for your order" in said and "€24.50" in said
    assert "Ring 1, 53111 Bonn, NW, DE" in said
    link = PayLink.objects.get(order_id=buyer.session.order_id)
    assert link.url in sent.body
    for hours in (1, 24, 48):
        assert remind(hours=hours) == 0
    assert len(mail.outbox) == 1
    shown = buyer.session.order.events.order_by("-sequence").values_list("type", flat=True)
    assert list(shown)[:3] == ["order.message_sent", "order.message_requested", "pay_link.created"]


def test_nobody_is_where_the_merchant_did_not_choose_it(environment):
    left(environment)
    assert remind() == 0 and not Message.objects.exists()


def test_it_needs_an_address_of_the_merchant(api):
    answer = api.patch("/v1/settings", {"checkout": {"recovery_email": {"enabled": True}}})
    assert (answer.status_code, answer.code) == (400, "BUSINESS_ADDRESS_REQUIRED")


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(899, False), (900, True), (930, False), (86_400, True), (86_460, False)]
)
def test_how_long_it_waits(api, wanted, seconds, accepted):
    chosen = {"enabled": True, "delay_seconds": seconds}
    answer = api.patch("/v1/settings", {"checkout": {"recovery_email": chosen}})
    assert answer.status_code == (200 if accepted else 400)
    assert accepted or answer.code == "INVALID_RECOVERY_EMAIL_DELAY"


def test_an_expired_checkout_counts_and_its_order_can_still_be_paid(environment, wanted):
    buyer = left(environment, expiration={"expires_in_seconds": 60})
    expire_if_due(buyer.session_id, at=later(minutes=2))
    assert remind() == 1


class TestNobody:
    def test_who_has_paid(self, environment, wanted):
        buyer = left(environment)
        pay(buyer, buyer.session.order)
        mail.outbox.clear()
        assert remind() == 0 and not Message.objects.filter(kind="abandoned_checkout").exists()

    def test_who_pays_before_the_mail_goes_out(self, environment, wanted):
        buyer = left(environment)
        with collecting():
            assert remind_abandoned(at=later(minutes=31)) == 1
            pay(buyer, buyer.session.order)
        mail.outbox.clear()
        send_due(at=later(minutes=32))
        message = Message.objects.get(kind="abandoned_checkout")
        assert (message.status, message.error) == ("failed", "nothing_owed")
        assert not [each for each in mail.outbox if "still there" in each.subject]

    def test_who_is_at_the_bank_just_now(self, environment, wanted):
        buyer = left(environment)
        pay(buyer, buyer.session.order, THREE_D_SECURE)
        assert remind() == 0

    def test_whose_checkout_was_closed_or_changed(self, api, environment, wanted):
        first, second = left(environment), left(environment, "bob@buyer.example")
        api.post(f"/v1/checkout-sessions/{first.session_id}/close", {})
        api.post(f"/v1/orders/{second.session.order_id}/close", {})
        assert remind() == 0

    def test_whose_address_the_merchant_knew(self, environment, wanted):
        known = {"prefilled_customer_info": {"email": "ada@buyer.example"}}
        buyer_of(stories.open_order(environment), customer_collection=known)
        assert remind() == 0

    def test_who_took_the_address_back(self, environment, wanted):
        buyer = left(environment)
        buyer.patch(f"/v1/checkout-sessions/{buyer.session_id}", {"buyer_contact": {"email": None}})
        assert remind() == 0

    def test_who_bought_meanwhile(self, environment, wanted):
        left(environment)
        bought = left(environment, "ADA@buyer.example")
        pay(bought, bought.session.order)
        assert remind() == 0

    def test_long_after(self, environment, wanted):
        left(environment)
        assert remind(days=3) == 0


def test_who_left_twice_is_written_to_about_the_last_one(environment, wanted):
    left(environment)
    last = left(environment)
    assert remind() == 1
    assert Message.objects.get().order_id == last.session.order_id
    assert remind(hours=2) == 0


def test_two_sweeps_at_once_write_once(environment, wanted):
    for number in range(3):
        left(environment, f"b{number}@buyer.example")
    at = later(minutes=31)
    told = at_once(*[lambda: remind_abandoned(at=at)] * 4)
    assert sum(told) == 3 and Message.objects.count() == 3


class TestThePage:
    def test_keeps_an_address_as_soon_as_it_was_typed(self, api, wanted):
        session = opened(api)
        buyer, path = let_in(session), page_of(session)
        page = buyer.get(path).content.decode()
        assert f'data-kept="{path}/contact"' in page and "If you leave without paying, we write to you once." in page
        assert buyer.post(f"{path}/contact", {"email": "ada@buyer.example"}).status_code == 204
        row = CheckoutSession.objects.get()
        assert row.contact_email == "ada@buyer.example" and row.contact_updated_at

    def test_keeps_nothing_where_nobody_is_written_to(self, api):
        cache.clear()
        session = opened(api)
        buyer, path = let_in(session), page_of(session)
        assert "data-kept" not in buyer.get(path).content.decode()
        assert buyer.post(f"{path}/contact", {"email": "ada@buyer.example"}).status_code == 204
        assert CheckoutSession.objects.get().contact_email == ""


class TestTheAdmin:
    LIST = "admin:payments_checkoutsession_changelist"

    def test_offers_to_send_the_link_to_who_left(self, merchant, environment):
        buyer, unknown = left(environment), buyer_of(stories.open_order(environment))
        shown = page(signed_in(merchant, Role.SUPPORT).get(reverse(self.LIST)))
        assert reverse("admin:orders_order_pay_link", args=[buyer.session.order_id]) in shown
        assert reverse("admin:orders_order_pay_link", args=[unknown.session.order_id]) not in shown

    def test_not_to_who_may_not(self, merchant, environment):
        buyer = left(environment)
        shown = page(signed_in(merchant, Role.DEVELOPER).get(reverse(self.LIST)))
        assert reverse("admin:orders_order_pay_link", args=[buyer.session.order_id]) not in shown
