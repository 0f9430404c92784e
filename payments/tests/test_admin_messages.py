"""Emails in the admin: sending a receipt and a pay link, who may, what the history says, and switching kinds off."""

import pytest
from django.core import mail
from django.urls import reverse

from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import settled
from payments.tests.acts import nothing_moves
from payments.tests.mails import ADA, paid, queued

BOB = "bob@buyer.example"


def at(name: str, order) -> str:
    return reverse(f"admin:orders_order_{name}", args=[order.id])


@pytest.fixture
def support(merchant):
    return signed_in(merchant, "support", first_name="Sam", last_name="Support")


def test_staff_send_a_receipt_with_their_name_on_it(support, environment):
    order = paid(environment)
    assert ADA in page(support.get(at("receipt", order)))
    with settled():
        sent = support.post(at("receipt", order), {"email": BOB})
    assert sent.url == at("change", order)
    assert [each.to for each in mail.outbox] == [[ADA], [BOB]]
    shown = page(support.get(at("change", order)))
    assert "Receipt sent to b•••@buyer.example" in shown and "Receipt by email asked for" in shown
    assert "Sam Support" in shown and "Receipt goes to" in shown


def test_staff_send_a_pay_link_to_who_left_the_page(support, environment):
    order = stories.open_order(environment, total=4_200)
    session = stories.checkout(order).session
    session.contact_email = ADA
    session.save()
    form = page(support.get(at("pay_link", order)))
    assert ADA in form and "€42.00" in form
    with settled():
        support.post(at("pay_link", order), {"email": ADA})
    (letter,) = mail.outbox
    assert order.pay_links.get().url in letter.body
    assert "Pay link sent to a•••@buyer.example" in page(support.get(at("change", order)))
    assert order.pay_links.get().token.reveal() not in page(support.get(at("change", order)))


@pytest.mark.parametrize("email", ["", "nobody", "a@b.example, c@d.example"])
def test_a_refusal_comes_back_on_the_form(support, environment, email):
    order = paid(environment)
    for name in ("receipt", "pay_link"):
        with nothing_moves(order):
            answer = support.post(at(name, order), {"email": email})
        assert answer.status_code == 400 and "fl-error" in answer.content.decode()
    assert len(mail.outbox) == 1


def test_a_second_click_sends_nothing_more(support, environment):
    order = stories.open_order(environment)
    with settled():
        assert support.post(at("pay_link", order), {"email": ADA}).status_code == 302
        again = support.post(at("pay_link", order), {"email": ADA})
    assert again.status_code == 400 and len(mail.outbox) == 1 and order.pay_links.count() == 1


def test_buttons_show_where_they_work_and_to_whom(merchant, support, environment):
    settled_order, open_order = paid(environment), stories.open_order(environment)
    for order, offered, other in ((settled_order, "receipt", "pay_link"), (open_order, "pay_link", "receipt")):
        shown = page(support.get(at("change", order)))
        assert at(offered, order) in shown and at(other, order) not in shown
    developer = signed_in(merchant, "developer")
    assert at("receipt", settled_order) not in page(developer.get(at("change", settled_order)))
    for name in ("receipt", "pay_link"):
        assert developer.post(at(name, settled_order), {"email": BOB}).status_code == 403
    assert len(mail.outbox) == 1


def test_what_was_sent_is_listed_and_found_by_its_address(support, environment):
    message = queued(paid(environment))
    here = reverse("admin:outbox_message_change", args=[message.id])
    where = reverse("admin:outbox_message_changelist")
    assert here in page(support.get(where)) and here in page(support.get(where, {"q": "ADA@buyer.example"}))
    assert here not in page(support.get(where, {"q": BOB}))
    assert ADA in page(support.get(here))


def test_kinds_are_switched_off_and_on_again(merchant, environment):
    owner = signed_in(merchant, "owner")
    where = reverse("admin:merchants_settings_edit", args=[environment.id]) + "?section=customer_email_delivery"
    shown = page(owner.get(where))
    assert shown.count('value="flint_sends" selected') == shown.count("<select") == 5
    owner.post(where, {"version": 1, "receipts": "merchant_sends"})
    assert page(owner.get(where)).count('value="merchant_sends" selected') == 1
    paid(environment)
    assert mail.outbox == []
    owner.post(where, {"version": 2, "receipts": "flint_sends"})
    paid(environment)
    assert len(mail.outbox) == 1
    assert signed_in(merchant, "support").post(where, {"version": 3}).status_code == 403
