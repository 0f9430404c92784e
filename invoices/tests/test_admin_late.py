"""What staff do about an invoice that is late: the fee with its preview, its waiver, and reminders that can stop."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from flint.merchants.models import Role
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from invoices.models import Invoice, InvoiceLateFee
from invoices.tests.asked import due_in_ten_days, fixed_fee, percentage_fee, settings
from orders.tests.sales import nothing_moves


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, Role.FINANCE)


@pytest.fixture
def invoice(environment) -> Invoice:
    settings(environment)
    return due_in_ten_days(environment, fee=percentage_fee(50_000), at=timezone.now() - timedelta(days=40))


def at(invoice, act: str) -> str:
    return reverse(f"admin:invoices_invoice_{act}", args=[invoice.id])


def do(browser, invoice, act: str, **typed):
    version = typed.pop("version", Invoice.objects.get(id=invoice.id).version)
    return browser.post(at(invoice, act), {"version": version, **typed})


def test_a_late_fee_is_shown_before_it_is_charged(finance, invoice):
    text = page(finance.get(at(invoice, "late_fee")))

    for told in ("Late fee", "€5.00", "€100.00", "€105.00"):
        assert told in text, told
    assert_books(invoice.order_id, total=10_000)

    assert do(finance, invoice, "late_fee").status_code == 302
    assert_books(invoice.order_id, total=10_500)
    assert at(invoice, "late_fee") not in page(finance.get(at(invoice, "change")))


def test_it_is_waived_with_a_reason(finance, invoice):
    do(finance, invoice, "late_fee")
    text = page(finance.get(at(invoice, "waive_fee")))
    for told in ("Given up", "€5.00", "€100.00"):
        assert told in text, told

    assert do(finance, invoice, "waive_fee", reason="").status_code == 400
    assert_books(invoice.order_id, total=10_500)
    assert do(finance, invoice, "waive_fee", reason="An old customer").status_code == 302

    assert_books(invoice.order_id, total=10_000)
    assert InvoiceLateFee.objects.get().waiver_reason == "An old customer"


def test_reminders_stop_and_go_on(finance, invoice):
    assert at(invoice, "resume_reminders") not in page(finance.get(at(invoice, "change")))

    assert do(finance, invoice, "pause_reminders").status_code == 302
    assert Invoice.objects.get().reminders_paused_at is not None
    assert at(invoice, "pause_reminders") not in page(finance.get(at(invoice, "change")))

    assert do(finance, invoice, "resume_reminders").status_code == 302
    assert Invoice.objects.get().reminders_paused_at is None


def test_nobody_pauses_what_they_have_not_seen(finance, invoice):
    with nothing_moves():
        response = do(finance, invoice, "pause_reminders", version=1)

    assert response.status_code == 400
    assert Invoice.objects.get().reminders_paused_at is None


@pytest.mark.parametrize("act", ["late_fee", "waive_fee", "pause_reminders", "resume_reminders", "remind"])
def test_who_may_only_look_cannot_act(merchant, invoice, act):
    developer = signed_in(merchant, Role.DEVELOPER)

    assert developer.get(at(invoice, act)).status_code in (403, 404)
    assert do(developer, invoice, act, reason="x").status_code in (403, 404)
    assert_books(invoice.order_id, total=10_000)


def test_there_is_nothing_to_charge_before_it_is_late(finance, environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500), at=timezone.now())

    assert at(invoice, "late_fee") not in page(finance.get(at(invoice, "change")))
    assert do(finance, invoice, "late_fee").status_code == 400
    assert_books(invoice.order_id, total=10_000)
