"""Emails of invoices: what they say and carry, in every language, and what becomes of each."""

from datetime import timedelta
from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.utils import timezone

from flint.events.models import Event
from flint.languages import LANGUAGES, Language
from flint.messages.models import Message
from flint.messages.sending import send_due
from flint.testing import stories
from flint.testing.stories import settled
from invoices.links import link_of
from invoices.models import Invoice, InvoiceDelivery
from invoices.services import fees
from invoices.tests.asked import (
    ADA,
    MORNING,
    balance,
    days,
    deposit,
    due_in_ten_days,
    fixed_fee,
    installment,
    issued,
    pay,
    percent,
    rules,
    settings,
    tick,
    told,
)
from payments.tests.mails import html_of, last_mail, words_of


@pytest.fixture(autouse=True)
def chosen(environment):
    settings(environment, reminder_policy=rules(-3, 0, 1), reply_to_email="bills@corner.example")


def sent(at=MORNING) -> mail.EmailMultiAlternatives:
    """The mail that is sent at a moment."""
    with settled():
        send_due(at=at)
    return last_mail()


def test_an_invoice_goes_out_with_its_document_its_link_and_its_copies(environment):
    invoice = due_in_ten_days(environment, cc_emails=["books@buyer.example"], memo="Thanks <b>a lot</b>")

    letter = sent()

    assert (letter.to, letter.cc, letter.reply_to) == ([ADA], ["books@buyer.example"], ["bills@corner.example"])
    assert letter.subject == f"Invoice {invoice.number} from Corner Shop Ltd: €100.00"
    [(name, content, kind)] = letter.attachments
    assert (name, kind, content[:5]) == (f"{invoice.number}.pdf", "application/pdf", b"%PDF-")
    assert link_of(invoice) in letter.body and link_of(invoice) in html_of(letter)
    assert "11 March 2027" in words_of(letter) or "March 11, 2027" in words_of(letter)
    assert "<b>" not in html_of(letter) and "Thanks <b>a lot</b>" in letter.body
    assert "bills@corner.example" in letter.body


def test_its_delivery_follows_the_mail(environment):
    invoice = due_in_ten_days(environment)
    delivery = InvoiceDelivery.objects.get()
    assert (delivery.status, delivery.sent_at) == ("pending", None)

    sent()

    delivery.refresh_from_db()
    assert (delivery.status, delivery.sent_at) == ("sent", MORNING)
    assert told(invoice, "invoice.sent", "invoice.delivery_succeeded") == ["invoice.sent", "invoice.delivery_succeeded"]
    event = Event.objects.get(type="invoice.delivery_succeeded")
    assert event.data["invoice_delivery_attempt_id"] == delivery.id and ADA not in str(event.data)


def test_a_mail_server_that_refuses_the_address_is_told(environment, monkeypatch):
    invoice = due_in_ten_days(environment)

    def refuse(self, *args):
        raise SMTPRecipientsRefused({ADA: (550, b"no such user")})

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    with settled():
        send_due(at=MORNING)

    delivery = InvoiceDelivery.objects.get()
    assert (delivery.status, delivery.error_message) == ("failed", "SMTPRecipientsRefused 550")
    assert told(invoice, "invoice.delivery_failed") == ["invoice.delivery_failed"]


def test_nothing_is_mailed_of_what_the_caller_delivers(environment):
    invoice = due_in_ten_days(environment, mode="caller_managed")

    with settled():
        send_due(at=MORNING)

    assert mail.outbox == [] and not Message.objects.exists()
    assert told(invoice, "invoice.sent") == []


def test_a_void_invoice_that_waits_in_the_outbox_is_not_sent(environment):
    from invoices.services.voiding import void_invoice

    invoice = due_in_ten_days(environment)
    void_invoice(invoice_id=invoice.id, actor=stories.actor_in(environment))

    with settled():
        send_due(at=MORNING)

    assert mail.outbox == []
    assert InvoiceDelivery.objects.get().status == "suppressed"


def test_a_mail_says_what_each_part_is(environment):
    parts = [deposit(percent(300_000)), installment(percent(300_000), days(28)), balance(days(60))]
    issued(environment, schedule_entries=parts)

    words = words_of(sent())

    for fact in ("Deposit", "€30.00", "Instalment", "Balance", "€40.00", "To pay"):
        assert fact in words


def test_a_reminder_asks_for_what_is_late_and_for_its_fee(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, grace=0))
    pay(invoice, 4_000)
    tick(days(0))
    fees.assess_late_fee(invoice_id=invoice.id, actor=stories.actor_in(environment), at=days(11, hour=1))

    tick(days(11))

    words = words_of(last_mail())
    assert "€65.00 is overdue" in words
    for fact in ("Late fee", "€5.00", "-€40.00", "€65.00", invoice.number):
        assert fact in words
    assert last_mail().attachments[0][1][:5] == b"%PDF-"


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("day", [0, 7, 10, 11])
def test_they_speak_the_buyers_language(environment, code, day):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    Invoice.objects.filter(id=invoice.id).update(language=code)
    Message.objects.update(language=code)
    if day:
        sent()
        tick(days(1))
        tick(days(day))

    letter = sent() if day == 0 else last_mail()

    language = Language(code)
    heading = {0: "Invoice {number}", 7: "{amount} to pay", 10: "{amount} is due today", 11: "{amount} is overdue"}[day]
    amount = language.money(invoice.money(10_000))
    words = words_of(letter)
    assert " ".join(language.say(heading, number=invoice.number, amount=amount).split()) in words
    assert language.say("Show and pay the invoice") in words
    assert f'lang="{code}"' in html_of(letter)
    if code != "en":
        assert "To pay" not in words and "Due" not in words


def test_what_is_collected_outside_is_only_shown(environment):
    issued(environment, collection={"mode": "external"}, payment_due={"type": "absolute", "due_at": days(10)})

    words = words_of(sent())

    assert "Show the invoice" in words and "pay the invoice" not in words


def test_deliveries_are_listed(api, environment):
    invoice = due_in_ten_days(environment, at=timezone.now() - timedelta(minutes=1))
    sent(timezone.now())

    response = api.get(f"/v1/invoices/{invoice.id}/delivery-attempts")

    assert response.status_code == 200, response.error
    [row] = response.data
    assert (row["delivery_type"], row["status"], row["to_email"]) == ("send", "sent", ADA)
