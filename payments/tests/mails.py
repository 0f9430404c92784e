"""Mails in tests: orders of a buyer who can be written to, and what a mail says in both its forms."""

import re
from email import message_from_string
from typing import Any

from django.core import mail

from flint.merchants.models import Environment
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.stories import line, settled
from orders.models import Order

ADA = "ada@buyer.example"


def paid(environment: Environment, *lines: dict, token: str = "pm_card_visa", email: str = ADA, **data: Any) -> Order:
    """Pay an order of a buyer who left an address, and send what that brings about."""
    order = stories.open_order(environment, *(lines or [line(2_450, name="House espresso", quantity=2)]), **data)
    with settled():
        stories.pay(order, token=token, **({"buyer_contact": {"email": email}} if email else {}))
    return Order.objects.get(id=order.id)


def queued(order: Order, kind: str = "receipt") -> Message:
    """The newest message of a kind about an order."""
    return Message.objects.filter(order_id=order.id, kind=kind).order_by("-created_at", "-id")[0]


def last_mail() -> mail.EmailMultiAlternatives:
    """The newest mail that went out."""
    return mail.outbox[-1]


def html_of(letter: mail.EmailMultiAlternatives) -> str:
    """The HTML form of a mail."""
    ((content, mimetype),) = letter.alternatives
    assert mimetype == "text/html"
    return content


def words_of(letter: mail.EmailMultiAlternatives) -> str:
    """What a mail's HTML form says, without its markup."""
    text = re.sub(r"<(style|title).*?</\1>", " ", html_of(letter), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def head_of(letter: mail.EmailMultiAlternatives) -> Any:
    """A mail as a mail server gets it, parsed again."""
    return message_from_string(letter.message().as_string())
