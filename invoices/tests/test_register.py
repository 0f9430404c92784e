"""The register of documents: issued and taken back, each once, and the items that a credit note takes back."""

import pytest
from django.utils import timezone

from flint.testing.reports import COMMITTED, minor, report
from invoices.tests.asking import act, draft, issued
from invoices.tests.crediting import allocate, credited
from orders.tests.sales import create, line, taxed

pytestmark = pytest.mark.django_db(**COMMITTED)


def test_every_document_is_in_it_once_with_what_took_it_back(api, environment):
    kept = issued(api)
    note = credited(api, kept)
    between = timezone.now()
    gone = issued(api, create(api, line(2_500)))
    assert act(api, gone, "void", {"expected_version": gone["version"]}).status_code == 200
    draft(api)

    found = report(environment, "invoice_register_v1")

    assert [(row["entry_type"], row["number"], row["amount"]) for row in found.rows] == [
        ("invoice.issued", kept["invoice_number"], "100.00"),
        ("credit_note.issued", note["credit_note_number"], "-40.00"),
        ("invoice.issued", gone["invoice_number"], "25.00"),
        ("invoice.voided", gone["invoice_number"], "-25.00"),
    ]
    assert found.rows[1]["invoice_number"] == kept["invoice_number"]
    later = report(environment, "invoice_register_v1", start=between, end=timezone.now())
    assert later.total("amount") == 0 and len(later.rows) == 2


def test_a_credit_note_takes_back_items_and_the_tax_of_the_order(api, environment):
    invoice = issued(api, create(api, line(10_000, tax=taxed(10))))
    note = credited(api, invoice)
    assert allocate(api, note, 4_000).status_code == 201

    items = report(environment, "orders_itemized_v2")
    taxes = report(environment, "tax_summarized_v1")

    assert sum(minor(row["total"]) for row in items.rows if row["entry_type"] == "return") == -4_000
    (summary,) = taxes.rows
    assert summary["percent"] == "10" and minor(summary["returned"]) == items.total("tax") - 1_000
