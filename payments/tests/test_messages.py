"""What emails to buyers say: the facts, in both forms and every language, with nothing left to fill in."""

import re
import zoneinfo

import pytest
from django.core import mail

from flint.languages import LANGUAGES, Language
from flint.messages.composing import mail_of
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.stories import actor_in, line, settled
from orders.services import add_line_items, create_customer
from payments.messages import asking
from payments.models import CheckoutSession, PaymentIntent
from payments.services.sessions import credentials
from payments.services.sessions.changing import update_session
from payments.tests.acts import later
from payments.tests.buyers import buyer_of
from payments.tests.mails import ADA, head_of, html_of, last_mail, paid, queued, words_of

FAILING_DEBIT = "pm_usBankAccount_insufficientFunds"


def plain(text: str) -> str:
    """A text with ordinary spaces."""
    return re.sub(r"\s", " ", text)


@pytest.fixture
def sold(environment):
    """A paid order with a discount and a tip."""
    return paid(
        environment,
        line(2_450, name="House espresso", quantity=2),
        line(1_000, name="Filter papers"),
        discounts=[{"manual": {"name": "Friends", "amount_money": stories.eur(500)}}],
        requested_tip={"amount_money": stories.eur(300)},
    )


def debited(environment, token=FAILING_DEBIT):
    """An order whose bank debit was under way, and failed later."""
    order = paid(environment, line(2_450, currency="USD", name="House espresso"), token=token)
    assert order.payment_status == "unpaid" and mail.outbox == []
    stories.time_passes(environment, later(seconds=30))
    return order


class TestAReceipt:
    def test_says_what_was_bought_and_how_it_was_paid(self, sold, merchant):
        (letter,) = mail.outbox
        assert letter.to == [ADA] and letter.subject == "Your receipt from Corner Shop Ltd: €57.00"
        for text in (letter.body, words_of(letter)):
            for fact in ("House espresso", "2 × €24.50", "€49.00", "Filter papers", "€10.00", "Friends", "-€5.00"):
                assert fact in text
            for fact in ("Tip", "€3.00", "Total", "€57.00", "Visa •••• 4242", sold.order_number, merchant.email):
                assert fact in text
            assert "This is a test" in text and "UTC" in text

    def test_comes_from_the_merchant_and_answers_go_there(self, sold):
        head = head_of(last_mail())
        assert head["From"] == "Corner Shop Ltd <no-reply@testserver>"
        assert (head["Reply-To"], head["Auto-Submitted"]) == ("owner@corner.example", "auto-generated")
        assert head["Message-ID"] == f"<{queued(sold).id.lower()}@testserver>"

    def test_is_remembered_with_the_address_half_hidden(self, sold):
        event = sold.events.get(type="order.message_sent")
        assert event.data == {"kind": "receipt", "to": "a•••@buyer.example"}

    def test_waits_until_all_of_the_order_is_paid(self, environment):
        order = stories.open_order(environment, total=10_000)
        data = {"completion_behavior": "partial_payment", "buyer_contact": {"email": ADA}}
        leg = stories.payments.create_leg(
            order_id=order.id, data={"amount_money": stories.eur(4_000)}, actor=actor_in(environment)
        )
        chosen = [{"payment_intent_id": leg.id, "token": "pm_card_visa"}]
        wanted = {"action": "confirm_payment_intents", "payment_intents": chosen, **data}
        with settled():
            stories.payments.pay(order_id=order.id, data=wanted, actor=actor_in(environment))
        assert mail.outbox == []
        with settled():
            stories.pay(order)
        (letter,) = mail.outbox
        assert "€40.00" in letter.body and "€60.00" in letter.body and "€100.00" in letter.subject

    def test_is_sent_again_when_more_was_bought_and_paid(self, sold, environment):
        add_line_items(order_id=sold.id, line_items=[line(500, name="A cup")], actor=actor_in(environment))
        with settled():
            stories.pay(sold)
        assert [each.subject[-6:] for each in mail.outbox] == ["€57.00", "€62.00"]

    def test_of_a_payment_without_an_order_goes_where_the_payment_said(self, api):
        body = {"amount_money": stories.wire(stories.eur(4_200)), "payment_options": ["card"], "receipt_email": ADA}
        leg = api.post("/v1/payment-intents", body).data["payment_intent"]["payment_intent_id"]
        with settled():
            api.post(f"/v1/payment-intents/{leg}/confirm", {"payment_source_token": "pm_card_visa"})
        (letter,) = mail.outbox
        assert letter.to == [ADA] and "€42.00" in letter.subject
        assert PaymentIntent.objects.get(id=leg).order.is_hidden

    def test_goes_to_the_customer_where_the_payment_names_nobody(self, environment):
        customer = create_customer(data={"email": "grace@buyer.example"}, actor=actor_in(environment))
        paid(environment, email="", customer_id=customer.id)
        assert last_mail().to == ["grace@buyer.example"]

    def test_is_not_written_where_there_is_nobody_to_write_to(self, environment):
        order = paid(environment, email="")
        assert mail.outbox == [] and not Message.objects.filter(order=order).exists()

    def test_is_left_to_a_merchant_who_writes_them(self, environment):
        stories.merchant_sends(environment, "receipts")
        order = paid(environment)
        assert mail.outbox == [] and not Message.objects.filter(order=order).exists()
        stories.merchant_sends(environment)
        paid(environment)
        assert len(mail.outbox) == 1


class TestADebitThatFailedLater:
    def test_is_told_with_another_way_to_pay(self, environment, client):
        order = debited(environment)
        (letter,) = mail.outbox
        assert letter.subject == "Your payment to Corner Shop Ltd did not go through"
        url = re.search(r"http://testserver(/o/\S+)", letter.body)[1]
        assert order.pay_links.get().url.endswith(url)
        for text in (letter.body, words_of(letter)):
            assert "$24.50" in text and "There is not enough money on it." in text and order.order_number in text

    def test_offers_no_way_where_nothing_is_owed(self, environment):
        order = paid(environment, line(2_450, currency="USD"), token=FAILING_DEBIT)
        stories.time_passes(environment, later(seconds=30))
        with settled():
            stories.pay(order)
        mail.outbox.clear()
        message = Message.objects.select_related("environment__merchant", "order").get(kind="payment_failed")
        assert "/o/" not in mail_of(message).body

    def test_is_not_told_of_a_card_that_was_declined_on_the_page(self, environment):
        paid(environment, token="pm_card_chargeDeclined")
        stories.time_passes(environment, later(seconds=30))
        assert mail.outbox == [] and not Message.objects.exists()

    def test_is_not_told_of_one_that_worked(self, environment):
        paid(environment, line(2_450, currency="USD"), token="pm_usBankAccount_success")
        stories.time_passes(environment, later(seconds=30))
        assert [each.subject.split(":")[0] for each in mail.outbox] == ["Your receipt from Corner Shop Ltd"]


class TestAPayLink:
    def test_asks_for_what_is_owed_when_it_is_sent(self, environment):
        order = stories.open_order(environment, total=4_200)
        with settled():
            asking.send_pay_link(order_id=order.id, email=ADA, actor=actor_in(environment))
            add_line_items(order_id=order.id, line_items=[line(300)], actor=actor_in(environment))
        (letter,) = mail.outbox
        assert letter.subject == "Corner Shop Ltd asks for €45.00"
        assert order.pay_links.get().url in letter.body and order.pay_links.get().url in html_of(letter)

    def test_is_not_sent_for_what_was_paid_in_the_meantime(self, environment):
        order = stories.open_order(environment)
        with settled():
            asking.send_pay_link(order_id=order.id, email=ADA, actor=actor_in(environment))
            stories.pay(order)
        message = queued(order, "pay_link")
        assert mail.outbox == [] and (message.status, message.error) == ("failed", "nothing_owed")


def one_of_each(environment) -> list[Message]:
    """A message of every kind about payments."""
    receipt = paid(environment, line(2_450, currency="USD", name="Espresso", quantity=2))
    failed = debited_beside(environment)
    asked = stories.open_order(environment, total=4_200)
    asking.send_pay_link(order_id=asked.id, email=ADA, actor=actor_in(environment))
    return [queued(receipt), queued(failed, "payment_failed"), queued(asked, "pay_link")]


def debited_beside(environment):
    order = paid(environment, line(2_450, currency="USD"), token=FAILING_DEBIT)
    stories.time_passes(environment, later(seconds=30))
    return order


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_kind_is_said_in_every_language_with_nothing_left_to_fill_in(environment, code):
    for message in one_of_each(environment):
        message = Message.objects.select_related("environment__merchant", "order").get(id=message.id)
        message.order.environment = message.environment
        message.language = code
        letter = mail_of(message)
        amount = plain(Language(code).money(message.order.money(message.order.total_amount)))
        for text in (plain(letter.body), words_of(letter)):
            assert amount in text, message.kind
            assert re.findall(r"[{}]|\bNone\b|&lt;|%}", text) == []
        assert f'lang="{code}"' in html_of(letter) and head_of(letter)["Content-Language"] == code
        if code != "en":
            english = mail_of(Message.objects.select_related("environment__merchant", "order").get(id=message.id))
            assert english.subject != letter.subject


def test_a_buyer_is_written_to_in_the_language_and_time_they_paid_in(environment):
    order = stories.open_order(environment, total=123_456)
    buyer = buyer_of(order)
    chosen = {"locale": "de_AT", "timezone": "Europe/Vienna", "buyer_contact": {"email": ADA}}
    actor = credentials.buyer_of(buyer.session, at=later())
    update_session(checkout_session_id=buyer.session_id, data=chosen, actor=actor)
    source = {"action": "pay", "payment_source": {"confirmation_token": "ctoken_card_visa"}}
    with settled():
        assert buyer.post(f"/v1/orders/{order.id}/pay", source).status_code == 200
    (letter,) = mail.outbox
    assert letter.subject == "Ihr Beleg von Corner Shop Ltd: € 1.234,56"
    assert any(name in letter.body for name in ("MEZ", "MESZ", "CET", "CEST"))
    assert zoneinfo.ZoneInfo(CheckoutSession.objects.get().timezone).key == "Europe/Vienna"


class TestWhatOthersWrote:
    def test_is_text_in_the_html(self, environment, merchant):
        merchant.business_name = "<script>alert(1)</script>"
        merchant.save()
        paid(environment, line(100, name="<img src=x onerror=alert(2)>"))
        shown = html_of(last_mail())
        assert "<script" not in shown and "<img" not in shown
        assert "&lt;script&gt;alert(1)" in shown and "&lt;img src=x" in shown

    def test_cannot_add_a_line_to_the_head(self, environment, merchant):
        merchant.business_name = "Shop\r\nBcc: everybody@evil.example\r\n\r\nHello"
        merchant.save()
        paid(environment)
        head = head_of(last_mail())
        assert head["Bcc"] is None and head["To"] == ADA
        assert "\n" not in last_mail().subject
        assert last_mail().recipients() == [ADA]

    @pytest.mark.parametrize(
        "address",
        [
            "ada@buyer.example\nBcc: eve@evil.example",
            "ada@buyer.example, eve@evil.example",
            "ada",
            "Ada <ada@b.example>",
        ],
    )
    def test_is_no_address_unless_it_is_one(self, environment, address):
        order = paid(environment)
        with pytest.raises(asking.InvalidRecipient):
            asking.send_receipt(order_id=order.id, email=address, actor=actor_in(environment))
        assert Message.objects.count() == 1


def test_a_kind_that_only_goes_out_when_asked_for_cannot_be_switched_off(api):
    for name in ("pay_link", "pay_links", "anything"):
        answer = api.patch("/v1/settings", {"customer_email_delivery": {name: "merchant_sends"}})
        assert (answer.status_code, answer.code) == (400, "UNKNOWN_FIELD")
