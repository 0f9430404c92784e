"""Late fees: when they may be charged, what they come to, and what becomes of them; always on the order's own books."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, settled, wire
from invoices.amounts import amounts_of
from invoices.asking import asked_of
from invoices.models import Invoice, InvoiceLateFee
from invoices.services import fees
from invoices.tests.asked import (
    MORNING,
    days,
    deposit,
    drafted,
    due_in_ten_days,
    fixed_fee,
    installment,
    issued,
    pay,
    percent,
    percentage_fee,
    settings,
    term,
    tick,
    told,
)
from orders.models import Charge
from payments import services as payments


@pytest.fixture(autouse=True)
def chosen(environment):
    settings(environment)


def assess(invoice: Invoice, at, **data) -> Invoice:
    return fees.assess_late_fee(invoice_id=invoice.id, actor=stories.actor_in(invoice.environment), at=at, **data)


def waive(invoice: Invoice, **data) -> Invoice:
    [fee] = InvoiceLateFee.objects.filter(invoice=invoice)
    actor = stories.actor_in(invoice.environment)
    wanted = {"reason_message": "An old customer", **data}
    return fees.waive_late_fee(invoice_id=invoice.id, late_fee_id=fee.id, actor=actor, **wanted)


def books(invoice: Invoice, **amounts) -> None:
    assert_books(invoice.order_id, **amounts)


def in_parts(environment, *, fee, at=MORNING) -> Invoice:
    """An invoice of 100.00: 30.00 at once, 30.00 on the eleventh, 40.00 on the twenty-first of March."""
    due = {"type": "payment_terms", "invoice_payment_term_id": term(environment, fee=fee).id}
    parts = [
        deposit(percent(300_000)),
        installment(percent(300_000), days(10)),
        installment(percent(400_000), days(20)),
    ]
    return issued(environment, at=at, payment_due=due, schedule_entries=parts)


def asked(invoice: Invoice, at):
    invoice = Invoice.objects.get(id=invoice.id)
    return asked_of(invoice, amounts_of(invoice, invoice.order), at=at)


def test_it_is_owed_on_the_order_and_stays_off_the_document(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    before = invoice.snapshot

    invoice = assess(invoice, days(14))

    books(invoice, total=10_500, outstanding=10_500, paid=0)
    assert (invoice.snapshot, invoice.total_amount) == (before, 10_000)
    fee = InvoiceLateFee.objects.get()
    assert (fee.amount, fee.base_outstanding_amount) == (500, 10_000)
    charge = Charge.objects.get(id=fee.charge_id)
    assert (charge.name, charge.type, charge.total_amount, charge.tax_amount) == ("Late fee", "other", 500, 0)
    assert told(invoice, "invoice.late_fee_assessed") == ["invoice.late_fee_assessed"]


@pytest.mark.parametrize(
    ("steps", "paid", "fee"), [(50_000, 0, 500), (50_000, 9_990, 1), (15_000, 33, 150), (10_001, 0, 100)]
)
def test_a_percentage_is_of_what_is_late_rounded_half_up(environment, steps, paid, fee):
    invoice = due_in_ten_days(environment, fee=percentage_fee(steps))
    if paid:
        pay(invoice, paid)

    assess(invoice, days(14))

    assert InvoiceLateFee.objects.get().amount == fee
    books(invoice, total=10_000 + fee, outstanding=10_000 + fee - paid)


def test_grace_is_over_when_its_last_day_is_over(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, grace=3))

    with pytest.raises(fees.InvoiceLateFeeNotDue):
        assess(invoice, days(13, hour=23, minute=59))
    books(invoice, total=10_000)

    assess(invoice, days(14, hour=0, minute=0))
    books(invoice, total=10_500)


def test_there_is_one_for_an_invoice(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))

    with pytest.raises(fees.InvoiceLateFeeNotDue):
        assess(invoice, days(40))

    books(invoice, total=10_500)


def test_there_is_one_for_each_part_that_is_late(environment):
    invoice = in_parts(environment, fee=percentage_fee(100_000))
    pay(invoice, 1_000)

    assess(invoice, days(14))
    assess(invoice, days(14))
    with pytest.raises(fees.InvoiceLateFeeNotDue):
        assess(invoice, days(14))

    found = InvoiceLateFee.objects.order_by("schedule_entry__position")
    assert [(fee.schedule_entry.position, fee.base_outstanding_amount, fee.amount) for fee in found] == [
        (0, 2_000, 200),
        (1, 3_000, 300),
    ]
    books(invoice, total=10_500, outstanding=9_500)


def test_a_part_can_be_named(environment):
    invoice = in_parts(environment, fee=fixed_fee(500))
    first, second, third = invoice.schedule_entries.order_by("position")

    assess(invoice, days(14), schedule_entry_id=second.id)
    with pytest.raises(fees.InvoiceLateFeeNotDue):
        assess(invoice, days(14), schedule_entry_id=third.id)

    assert InvoiceLateFee.objects.get().schedule_entry_id == second.id


def test_money_fills_the_document_first_and_fees_last(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))

    pay(invoice, 9_000)
    now = asked(invoice, days(15))
    assert (now.outstanding, now.overdue, now.fees[0].filled.outstanding) == (1_500, 1_500, 500)

    pay(invoice, 1_200)
    now = asked(invoice, days(15))
    assert (now.outstanding, now.fees[0].paid, now.fees[0].filled.outstanding) == (300, 200, 300)

    pay(invoice, 300)
    assert Invoice.objects.get().status == "paid"
    books(invoice, total=10_500, paid=10_500, outstanding=0)


# Waiving


def test_a_waived_fee_is_no_longer_owed(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))

    waive(invoice)

    fee = InvoiceLateFee.objects.get()
    assert (fee.waived_amount, fee.waiver_reason) == (500, "An old customer")
    books(invoice, total=10_000, outstanding=10_000)
    assert not Charge.objects.exists()
    assert told(invoice, "invoice.late_fee_waived") == ["invoice.late_fee_waived"]


def test_what_was_paid_of_a_fee_stays_paid(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))
    pay(invoice, 10_200)

    waive(invoice)

    books(invoice, total=10_200, paid=10_200, outstanding=0)
    assert Charge.objects.get().total_amount == 200
    assert Invoice.objects.get().status == "paid"
    assert told(invoice, "invoice.paid") == ["invoice.paid"]


def test_waiving_the_last_that_is_owed_pays_the_invoice(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))
    pay(invoice, 10_000)

    waive(invoice)

    assert Invoice.objects.get().status == "paid"
    books(invoice, total=10_000, paid=10_000, outstanding=0)


def test_nothing_is_left_to_waive_twice(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))
    assess(invoice, days(14))
    waive(invoice)

    with pytest.raises(fees.InvoiceLateFeeNotCollectible):
        waive(invoice)

    books(invoice, total=10_000)
    assert told(invoice, "invoice.late_fee_waived") == ["invoice.late_fee_waived"]


def test_the_next_part_may_be_charged_after_one_was_waived(environment):
    invoice = in_parts(environment, fee=fixed_fee(500))
    assess(invoice, days(4))
    waive(invoice)

    with pytest.raises(fees.InvoiceLateFeeNotDue):
        assess(invoice, days(9))
    assess(invoice, days(14))

    books(invoice, total=10_500)


# By the clock


def test_a_manual_policy_is_told_once_and_charges_nothing(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))

    for day in range(0, 60, 5):
        tick(days(day, hour=12))

    assert told(invoice, "invoice.overdue", "invoice.late_fee_due", "invoice.late_fee_assessed") == [
        "invoice.overdue",
        "invoice.late_fee_due",
    ]
    books(invoice, total=10_000)


def test_an_automatic_policy_charges_once_when_grace_is_over(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"))

    tick(days(13, hour=23, minute=59))
    books(invoice, total=10_000)
    tick(days(14, hour=0, minute=0))
    books(invoice, total=10_500)
    for day in range(14, 30, 3):
        tick(days(day, hour=12))

    books(invoice, total=10_500)
    assert told(invoice, "invoice.late_fee_due", "invoice.late_fee_assessed") == ["invoice.late_fee_assessed"]


def test_automatic_fees_of_all_parts_come_even_when_the_clock_stood(environment):
    invoice = in_parts(environment, fee=fixed_fee(500, mode="automatic"))

    tick(days(30))
    tick(days(30))

    books(invoice, total=11_500)
    assert InvoiceLateFee.objects.count() == 3


def test_a_waived_automatic_fee_does_not_come_back(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"))
    tick(days(14))
    waive(invoice)

    for day in range(14, 40, 5):
        tick(days(day, hour=12))

    books(invoice, total=10_000)


def test_an_automatic_fee_waits_until_a_payment_is_over(environment):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500, mode="automatic"))
    tick(days(0))
    payment = {"action": "pay", "payment_source": {"token": "pm_usBankAccount_insufficientFunds"}}
    begun = payments.pay(
        order_id=invoice.order_id,
        data={**payment, "invoice_id": invoice.id},
        actor=stories.actor_in(environment),
    )
    assert begun.attempt.is_open

    tick(days(14))
    tick(days(14, minute=4))
    books(invoice, total=10_000)

    stories.time_passes(environment, days(14, minute=4))
    tick(days(14, minute=5))
    books(invoice, total=10_500, paid=0)


# The routes


def late(environment, fee) -> Invoice:
    """An invoice that is late enough by now."""
    from datetime import timedelta

    from django.utils import timezone

    return due_in_ten_days(environment, fee=fee, at=timezone.now() - timedelta(days=40))


def test_it_is_assessed_and_waived_over_the_api(api, environment):
    invoice = late(environment, fixed_fee(500))

    response = api.post(f"/v1/invoices/{invoice.id}/late-fees", {})
    assert response.status_code == 200, response.error
    assert response.data["outstanding_money"] == wire(eur(10_500))
    [fee] = response.data["late_fees"]
    assert fee["amount_money"] == fee["outstanding_money"] == wire(eur(500))
    assert fee["base_outstanding_money"] == wire(eur(10_000))

    response = api.post(
        f"/v1/invoices/{invoice.id}/late-fees/{fee['invoice_late_fee_id']}/waive", {"reason_message": "Good friend"}
    )
    assert response.status_code == 200, response.error
    assert response.data["outstanding_money"] == wire(eur(10_000))
    [fee] = response.data["late_fees"]
    assert (fee["waived_money"], fee["outstanding_money"]) == (wire(eur(500)), wire(eur(0)))
    assert fee["waiver_reason"] == "Good friend"


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({"invoice_schedule_entry_id": "ise_01J00000000000000000000000"}, "INVALID_INVOICE_LATE_FEE_SCHEDULE", 400),
        ({"amount": 4}, "UNKNOWN_FIELD", 400),
        ({}, "INVOICE_LATE_FEE_NOT_DUE", 409),
    ],
)
def test_an_assessment_is_refused_and_nothing_moves(api, environment, body, code, status):
    invoice = due_in_ten_days(environment, fee=fixed_fee(500))

    response = api.post(f"/v1/invoices/{invoice.id}/late-fees", body)

    assert (response.status_code, response.error["code"]) == (status, code)
    books(invoice, total=10_000)


def test_without_a_policy_or_a_debt_there_is_no_fee(api, environment):
    invoice = late(environment, None)
    response = api.post(f"/v1/invoices/{invoice.id}/late-fees", {})
    assert (response.status_code, response.error["code"]) == (409, "INVOICE_LATE_FEE_POLICY_REQUIRED")

    draft = drafted(environment)
    response = api.post(f"/v1/invoices/{draft.id}/late-fees", {})
    assert (response.status_code, response.error["code"]) == (409, "INVOICE_LATE_FEE_NOT_COLLECTIBLE")

    with settled():
        pay(invoice, 10_000)
    response = api.post(f"/v1/invoices/{invoice.id}/late-fees", {})
    assert (response.status_code, response.error["code"]) == (409, "INVOICE_LATE_FEE_NOT_COLLECTIBLE")
    assert not InvoiceLateFee.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "code", "status"),
    [
        ("ilf_01J00000000000000000000000", {"reason_message": "x"}, "INVOICE_LATE_FEE_NOT_FOUND", 404),
        ("{fee}", {"reason_message": " "}, "INVALID_INVOICE_LATE_FEE_REASON", 400),
        ("{fee}", {}, "FIELD_REQUIRED", 400),
    ],
)
def test_a_waiver_is_refused_and_nothing_moves(api, environment, path, body, code, status):
    invoice = late(environment, fixed_fee(500))
    api.post(f"/v1/invoices/{invoice.id}/late-fees", {})
    fee = InvoiceLateFee.objects.get()

    response = api.post(f"/v1/invoices/{invoice.id}/late-fees/{path.format(fee=fee.id)}/waive", body)

    assert (response.status_code, response.error["code"]) == (status, code)
    books(invoice, total=10_500)
