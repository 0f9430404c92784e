"""The email about a refund: what comes back, for what, and once; and nothing of what did not go back."""

import pytest
from django.core import mail

from flint.languages import LANGUAGES, Language
from flint.messages.composing import mail_of
from flint.messages.kinds import Unneeded
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.stories import eur, line
from payments.tests.acts import later
from payments.tests.mails import ADA, html_of, last_mail, paid, queued, words_of


def given_back(environment, token="pm_card_visa", **data):
    """An order that was paid and given back, a part of it or all."""
    order = paid(environment, line(2_450, name="<i>Espresso</i>", quantity=2), line(900, name="Filters"), token=token)
    mail.outbox.clear()
    stories.refund(order, **data)
    return order


def test_it_says_how_much_for_what_where_to_and_when(environment):
    order = paid(environment, line(2_450, name="Espresso", quantity=2), line(900, name="Filters"))
    mail.outbox.clear()
    first = order.line_items.order_by("position")[0]
    stories.refund(order, line_items=[{"order_line_item_id": first.id, "quantity": 2}])
    (letter,) = mail.outbox
    assert letter.to == [ADA] and letter.subject == "Your refund from Corner Shop Ltd: €49.00"
    for text in (letter.body, words_of(letter)):
        for fact in ("Espresso", "× 2", "€49.00", "Visa •••• 4242", order.order_number, "5 to 10 working"):
            assert fact in text
        assert "Filters" not in text
    assert order.events.get(type="order.message_sent", data__kind="refund").data["to"] == "a•••@buyer.example"


def test_it_is_sent_once_for_each_refund(environment):
    order = given_back(environment, amount_money=eur(1_000))
    stories.refund(order, amount_money=eur(500))
    stories.deliver_notices(environment)
    stories.sweep(at=later(days=1))
    assert [each.subject[-6:] for each in mail.outbox] == ["€10.00", " €5.00"]


def test_it_waits_until_the_processor_has_given_it(environment):
    given_back(environment, token="pm_card_pendingRefund")
    assert mail.outbox == []
    stories.time_passes(environment, later(minutes=1))
    assert len(mail.outbox) == 1


def test_nothing_is_said_of_one_that_was_refused(environment):
    given_back(environment, token="pm_card_refundRefused")
    assert mail.outbox == [] and not Message.objects.filter(kind="refund").exists()


def test_nothing_is_sent_of_one_that_has_failed_in_the_meantime(environment):
    order = given_back(environment, token="pm_card_refundFail")
    assert len(mail.outbox) == 1
    stories.time_passes(environment, later(minutes=1))
    message = Message.objects.select_related("environment__merchant", "order").get(id=queued(order, "refund").id)
    with pytest.raises(Unneeded):
        mail_of(message)


def test_it_is_left_to_a_merchant_who_writes_them(environment):
    stories.merchant_sends(environment, "refunds")
    given_back(environment)
    assert mail.outbox == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_it_is_said_in_every_language_and_what_others_wrote_is_text(environment, code):
    order = given_back(environment)
    message = Message.objects.select_related("environment__merchant", "order").get(id=queued(order, "refund").id)
    message.language = code
    letter = mail_of(message)
    amount = Language(code).money(eur(5_800)).replace("\xa0", " ").replace("\u202f", " ")
    assert amount in words_of(letter) and "<i>" not in html_of(letter) and "{" not in letter.body
    assert (letter.subject == last_mail().subject) == (code == "en")
