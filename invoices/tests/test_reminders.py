"""Reminders: on the mornings that the rules name, once each, held back while paused, and by hand."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from flint.events.models import Event
from flint.testing import stories
from flint.testing.stories import settled
from invoices.models import Invoice, InvoiceDelivery
from invoices.services import drafting
from invoices.tests.asked import ADA, days, drafted, due_in_ten_days, issued, pay, rules, settings, subjects, tick, told


@pytest.fixture(autouse=True)
def chosen(environment):
    settings(environment, reminder_policy=rules(-3, 0, 2, 7))


def reminded() -> list[str]:
    """The days on which reminders went out, by the date of each delivery's rule."""
    facts = InvoiceDelivery.objects.filter(delivery_type="reminder", status="sent").order_by("created_at", "id")
    return [fact.split()[1] for fact in facts.values_list("fact", flat=True)]


def test_it_is_sent_on_the_morning_of_each_rule(environment):
    invoice = due_in_ten_days(environment)

    for day in range(30):
        tick(days(day, hour=8, minute=59))
        before = len(mail.outbox)
        tick(days(day, hour=9))
        assert (len(mail.outbox) - before) == (1 if day in (7, 10, 12, 17) else 0), day

    assert subjects() == [
        f"Invoice {invoice.number} from Corner Shop Ltd: €100.00",
        f"Reminder of invoice {invoice.number}",
        f"Invoice {invoice.number} is due today",
        f"Invoice {invoice.number} is overdue",
        f"Invoice {invoice.number} is overdue",
    ]
    assert reminded() == ["-3", "+0", "+2", "+7"]
    assert told(invoice, "invoice.reminder_due") == ["invoice.reminder_due"] * 4


def test_what_is_missed_while_the_clock_stands_is_one_reminder(environment):
    invoice = due_in_ten_days(environment)
    tick(days(0))

    tick(days(12, hour=11))
    tick(days(12, hour=11))

    assert reminded() == ["+2"]
    assert told(invoice, "invoice.reminder_due") == ["invoice.reminder_due"]


def test_rules_of_before_the_issue_are_not_for_it(environment):
    issued(environment, at=days(8), payment_due={"type": "absolute", "due_at": days(10, hour=23)})

    tick(days(8))
    tick(days(9))
    assert reminded() == []
    tick(days(10))
    assert reminded() == ["+0"]


def test_what_is_missed_while_paused_is_not_caught_up_on(environment):
    invoice = due_in_ten_days(environment)
    actor = stories.actor_in(environment)
    tick(days(0))
    drafting.update_invoice(invoice_id=invoice.id, data={"reminders_paused": True}, actor=actor, at=days(1))
    tick(days(7))
    assert told(invoice, "invoice.reminder_due") == []

    # The clock stands when it is resumed, so that nobody looked since the due day.
    drafting.update_invoice(invoice_id=invoice.id, data={"reminders_paused": False}, actor=actor, at=days(11))
    tick(days(11))
    assert reminded() == []
    tick(days(12))
    assert reminded() == ["+2"]


def test_overdue_is_told_while_reminders_are_paused(environment):
    invoice = due_in_ten_days(environment)
    tick(days(0))
    drafting.update_invoice(
        invoice_id=invoice.id, data={"reminders_paused": True}, actor=stories.actor_in(environment), at=days(1)
    )

    tick(days(11, hour=0))

    assert told(invoice, "invoice.overdue") == ["invoice.overdue"]
    assert reminded() == []


def test_nobody_is_reminded_of_what_is_paid(environment):
    invoice = due_in_ten_days(environment)
    tick(days(7))
    with settled():
        pay(invoice, 10_000)

    tick(days(10))

    assert reminded() == ["-3"]
    assert tick(days(40)) == 0


def test_a_reminder_that_waits_in_the_outbox_is_not_sent_once_it_is_paid(environment):
    from invoices.services import clock

    invoice = due_in_ten_days(environment)
    tick(days(0))
    clock.sweep(at=days(7))
    pay(invoice, 10_000)
    before = len(mail.outbox)

    tick(days(7, hour=11))

    delivery = InvoiceDelivery.objects.get(delivery_type="reminder")
    assert (delivery.status, delivery.error_message) == ("suppressed", "nothing_owed")
    assert len(mail.outbox) == before
    assert told(invoice, "invoice.delivery_failed") == []


def test_a_rule_that_is_chosen_later_holds_from_then_on(environment):
    due_in_ten_days(environment)
    tick(days(0))
    tick(days(5))
    settings(environment, reminder_policy=rules(-7, -4))

    # The clock had not meant to look before day 7.
    tick(days(6, hour=9))

    assert reminded() == ["-4"]


def test_a_caller_who_delivers_itself_is_told_and_nothing_is_mailed(environment):
    invoice = due_in_ten_days(environment, mode="caller_managed")

    tick(days(7))

    assert mail.outbox == []
    assert told(invoice, "invoice.reminder_due") == ["invoice.reminder_due"]
    assert InvoiceDelivery.objects.get(invoice=invoice).status == "suppressed"


def test_a_merchant_who_writes_reminders_itself_is_told_and_nothing_is_mailed(environment):
    invoice = due_in_ten_days(environment)
    tick(days(0))
    stories.merchant_sends(environment, "invoice_reminders")

    tick(days(7))

    assert len(mail.outbox) == 1
    assert told(invoice, "invoice.reminder_due") == ["invoice.reminder_due"]


# By hand


def test_one_can_be_sent_by_hand(api, environment):
    invoice = due_in_ten_days(environment, at=timezone.now())
    with settled():
        response = api.post(f"/v1/invoices/{invoice.id}/send-reminder")

    assert response.status_code == 200, response.error
    assert response.data["delivery_attempt"]["delivery_type"] == "reminder"
    assert response.data["delivery_attempt"]["to_email"] == ADA
    assert response.data["public_url"].startswith("http")
    assert mail.outbox[-1].subject == f"Reminder of invoice {invoice.number}"
    delivery = InvoiceDelivery.objects.get(id=response.data["delivery_attempt"]["invoice_delivery_attempt_id"])
    assert delivery.status == "sent"


def test_another_one_within_the_hour_is_refused(api, environment):
    invoice = due_in_ten_days(environment, at=timezone.now())
    assert api.post(f"/v1/invoices/{invoice.id}/send-reminder").status_code == 200
    before = Event.objects.count()

    response = api.post(f"/v1/invoices/{invoice.id}/send-reminder")

    assert (response.status_code, response.error["code"]) == (429, "INVOICE_REMINDER_RATE_LIMITED")
    assert 3_500 < int(response.headers["Retry-After"]) <= 3_600
    assert Event.objects.count() == before
    assert InvoiceDelivery.objects.filter(delivery_type="reminder").count() == 1


def test_one_may_be_sent_while_the_automatic_ones_are_paused(api, environment):
    invoice = due_in_ten_days(environment, at=timezone.now())
    Invoice.objects.filter(id=invoice.id).update(reminders_paused_at=timezone.now())

    assert api.post(f"/v1/invoices/{invoice.id}/send-reminder").status_code == 200


def test_nobody_is_reminded_of_a_draft_nor_of_what_is_paid(api, environment):
    draft = drafted(environment, at=timezone.now())
    response = api.post(f"/v1/invoices/{draft.id}/send-reminder")
    assert (response.status_code, response.error["code"]) == (409, "INVOICE_NOT_ISSUED")

    paid = issued(environment, at=timezone.now())
    pay(paid, 10_000)
    response = api.post(f"/v1/invoices/{paid.id}/send-reminder")
    assert (response.status_code, response.error["code"]) == (409, "INVOICE_NOT_COLLECTIBLE")
    assert not InvoiceDelivery.objects.filter(delivery_type="reminder").exists()


def test_two_hours_later_there_may_be_another(api, environment):
    invoice = due_in_ten_days(environment, at=timezone.now())
    assert api.post(f"/v1/invoices/{invoice.id}/send-reminder").status_code == 200
    InvoiceDelivery.objects.update(created_at=timezone.now() - timedelta(hours=2))

    assert api.post(f"/v1/invoices/{invoice.id}/send-reminder").status_code == 200
