"""Emails to buyers: what each says, in every language; each goes out once, and no mail server is needed to pay."""

from django.core import mail

from flint.testing import stories
from flint.testing.stories import line, settled
from payments.models import Message

ADA = "ada@buyer.example"


def paid(environment, *lines, token="pm_card_visa", **data):
    """Pay an order with a buyer's address, and send what that brings about."""
    order = stories.open_order(environment, *(lines or [line(2_450, name="House espresso", quantity=2)]), **data)
    with settled():
        stories.pay(order, token=token, buyer_contact={"email": ADA})
    order.refresh_from_db()
    return order


def test_a_receipt_is_sent_when_the_order_is_paid(environment):
    paid(environment)
    (letter,) = mail.outbox
    assert letter.to == [ADA]
    assert Message.objects.get().status == "sent"
