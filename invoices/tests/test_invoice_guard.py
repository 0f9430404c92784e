"""Going around the services: PostgreSQL refuses whatever would make an order and its invoices say different things."""

import pytest
from django.db import DatabaseError, connection, transaction

from flint.testing import stories
from flint.testing.stories import actor_in, eur, line
from invoices.models import Invoice, InvoiceLateFee
from invoices.services.manual import record_manual_payment
from orders.services import add_line_items

pytestmark = pytest.mark.django_db(transaction=True)


def run(*statements: str, **values) -> None:
    """Run statements of our own in one transaction, and commit."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values)


def refusal_of(*statements: str, **values) -> str:
    """Return what PostgreSQL says against the statements, which leave no trace."""
    before = [list(model.objects.order_by("pk").values()) for model in (Invoice, InvoiceLateFee)]
    with pytest.raises(DatabaseError) as caught:
        run(*statements, **values)
    assert [list(model.objects.order_by("pk").values()) for model in (Invoice, InvoiceLateFee)] == before
    diagnosis = caught.value.__cause__.diag
    return " ".join(filter(None, [str(caught.value), diagnosis.constraint_name]))


@pytest.fixture
def invoice(environment) -> Invoice:
    """An invoice of 100.00 that asks for all of it."""
    return stories.issued_invoice(stories.open_order(environment)).invoice


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("number = 'INV-000007'", "invoice_is_frozen_once_issued"),
        ("sequence = 7", "invoice_is_frozen_once_issued"),
        ("total_amount = total_amount - 1", "invoice_is_frozen_once_issued"),
        ("paid_before_amount = 1", "invoice_is_frozen_once_issued"),
        ("base_paid_amount = 1", "invoice_is_frozen_once_issued"),
        ("base_credit_amount = 1", "invoice_is_frozen_once_issued"),
        ("base_refunded_amount = 1", "invoice_is_frozen_once_issued"),
        ("base_charged_back_amount = 1", "invoice_is_frozen_once_issued"),
        ("snapshot = '{}'", "invoice_is_frozen_once_issued"),
        ("terms_snapshot = '{}'", "invoice_is_frozen_once_issued"),
        ("due_at = now()", "invoice_is_frozen_once_issued"),
        ("timezone = 'Europe/Berlin'", "invoice_is_frozen_once_issued"),
        ("currency = 'USD'", "invoice_is_frozen_once_issued"),
        ("issued_at = issued_at - interval '1 day'", "invoice_is_frozen_once_issued"),
        ("status = 'draft'", "Invalid transition"),
        ("status = 'paid'", "order_is_under_its_open_invoice"),
        ("status = 'partially_paid'", "invoice_is_partially_paid_iff_something_is_kept"),
        ("status = 'void', voided_at = now()", "order_invoice_is_the_last_issued"),
        ("status = 'uncollectible'", "order_is_under_its_open_invoice"),
        ("written_off_amount = -1", "invoice_amounts_not_negative"),
        ("version = 0", "invoice_version_counts_from_one"),
    ],
)
def test_an_issued_invoice_stays_as_it_is(invoice, change, refusal):
    said = refusal_of(f"UPDATE invoices_invoice SET {change} WHERE id = %(id)s", id=invoice.id)

    assert refusal in said


def test_an_invoice_is_never_deleted(invoice):
    assert "invoice_is_never_deleted" in refusal_of("DELETE FROM invoices_invoice WHERE id = %(id)s", id=invoice.id)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("invoice_id = ''", "order_invoice_is_the_last_issued"),
        ("invoice_id = 'inv_other'", "order_invoice_is_the_last_issued"),
        ("is_under_invoice = false", "order_is_under_its_open_invoice"),
    ],
)
def test_an_order_names_the_invoice_that_asks(invoice, change, refusal):
    said = refusal_of(f"UPDATE orders_order SET {change} WHERE id = %(id)s", id=invoice.order_id)

    assert refusal in said


def test_an_order_without_an_invoice_is_under_none(environment):
    order = stories.open_order(environment)

    said = refusal_of("UPDATE orders_order SET is_under_invoice = true WHERE id = %(id)s", id=order.id)

    assert "order_is_under_no_invoice" in said


def test_a_paid_invoice_asks_for_nothing(environment, invoice):
    record_manual_payment(invoice_id=invoice.id, money=eur(10_000), actor=actor_in(environment))

    said = refusal_of(
        "UPDATE invoices_invoice SET status = 'open' WHERE id = %(id)s",
        "UPDATE orders_order SET is_under_invoice = true WHERE id = %(order)s",
        id=invoice.id,
        order=invoice.order_id,
    )

    assert "invoice_asks_iff_its_order_owes" in said


def test_a_number_is_given_once(environment, invoice):
    """Even a second document that fits in every other way is refused."""
    other = stories.draft_invoice(stories.open_order(environment))
    issued = (
        "UPDATE invoices_invoice SET status = 'open', issued_at = now(), snapshot = '{}', sequence = 1, number = 'X-1' "
        "WHERE id = %(id)s"
    )

    assert "invoice_sequence_once" in refusal_of(issued, id=other.id)


def test_an_order_has_one_draft_and_one_invoice_that_asks(environment, invoice):
    copied = [field.column for field in Invoice._meta.concrete_fields if field.column not in ("id", "link_digest")]
    names = ", ".join(copied)
    values = names.replace("number", "'X-2'", 1).replace("sequence", "2", 1)

    said = refusal_of(
        f"INSERT INTO invoices_invoice (id, link_digest, {names}) "
        f"SELECT 'inv_00000000000000000000000000', '', {values} FROM invoices_invoice WHERE id = %(id)s",
        id=invoice.id,
    )

    assert "invoice_one_asking_per_order" in said


def test_a_draft_has_no_number_and_an_issued_one_has(environment):
    draft = stories.draft_invoice(stories.open_order(environment))

    said = refusal_of("UPDATE invoices_invoice SET number = 'INV-000009' WHERE id = %(id)s", id=draft.id)

    assert "invoice_is_numbered_iff_it_was_issued" in said


def test_a_late_fee_is_owed_by_its_order(environment, invoice):
    said = refusal_of(
        "INSERT INTO invoices_invoicelatefee (id, environment_id, invoice_id, charge_id, base_outstanding_amount,"
        " amount, waived_amount, written_off_amount, policy, assessed_at, waiver_reason, created_at, updated_at)"
        " VALUES ('ilf_1', %(environment)s, %(invoice)s, 'och_1', 1, 500, 0, 0, '{}', now(), '', now(), now())",
        environment=environment.id,
        invoice=invoice.id,
    )

    assert "invoices_bill_what_the_order_is_worth" in said


@pytest.mark.parametrize("last", ["last - 1", "last + 2", "0", "-1"])
def test_numbers_are_counted_one_by_one(environment, invoice, last):
    changed = f"UPDATE invoices_numberseries SET last = {last} WHERE environment_id = %(id)s"

    assert "series_counts_by_one" in refusal_of(changed, id=environment.id)


def test_a_series_begins_at_one_and_never_again(environment, invoice):
    begun = "INSERT INTO invoices_numberseries (environment_id, series, last) VALUES (%(id)s, 'credit_note', 7)"

    assert "series_counts_by_one" in refusal_of(begun, id=environment.id)
    gone = "DELETE FROM invoices_numberseries WHERE environment_id = %(id)s"
    assert "series_is_never_deleted" in refusal_of(gone, id=environment.id)


def test_nothing_is_sold_under_an_invoice_through_the_services(environment, invoice):
    with pytest.raises(Exception, match="INVOICE_LOCKED_ORDER_FINANCIALS"):
        add_line_items(order_id=invoice.order_id, line_items=[line(1)], actor=actor_in(environment))
