"""Staff credit an invoice: draft from its page, issue, apply, refund, take off, void; each by the API's own service."""

import re

import pytest
from django.urls import reverse

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur, wire
from invoices.models import CreditNote
from invoices.tests.asking import issued
from invoices.tests.crediting import amount, credited, line_ids, pay_invoice, read_note
from orders.tests.sales import add_charge, create, fee, line


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, "finance", first_name="Fay", last_name="Ito")


@pytest.fixture
def invoice(api):
    return issued(api, add_charge(api, create(api, line(2_500, quantity=4, name="Bag")), **fee(490)))


def url(name: str, row_id: str) -> str:
    return reverse(f"admin:invoices_{name}", args=[row_id])


def hidden(shown: str) -> dict[str, str]:
    """Return what a form is filled with when it is opened."""
    return dict(re.findall(r'type="(?:hidden|text)" name="(\w+)" value="([^"]*)"', shown))


def act(browser, note: dict, name: str, **filled):
    where = url(f"creditnote_{name}", note["credit_note_id"])
    data = {**hidden(page(browser.get(where))), **filled}
    with stories.settled():
        return browser.post(where, data, follow=True)


def test_drafted_from_the_invoices_page(finance, invoice):
    where = url("invoice_credit", invoice["invoice_id"])
    shown = page(finance.get(where))
    assert "Bag" in shown and "Units, of 4 billed for €100.00" in shown and "An amount, of €4.90" in shown

    data = {**hidden(shown), "reason": "goodwill", "memo": "Sorry", "what_0": "2", "what_1": "1.50"}
    told = page(finance.post(where, data, follow=True))

    note = CreditNote.objects.get()
    assert (note.total_amount, note.reason, note.memo, note.status) == (5_150, "goodwill", "Sorry", "draft")
    assert "A credit note over €51.50 is drafted" in told
    assert url("creditnote_change", note.id) in told
    event = note.order.events.get(type="credit_note.created")
    assert (event.actor_kind, event.actor_label) == ("staff", "Fay Ito")


def test_nothing_named_is_nothing_drafted(finance, invoice):
    where = url("invoice_credit", invoice["invoice_id"])
    data = {**hidden(page(finance.get(where))), "reason": "other", "what_0": "", "what_1": ""}

    response = finance.post(where, data)

    assert response.status_code == 400
    assert "Say what of the invoice is taken back." in response.content.decode()
    assert not CreditNote.objects.exists()


def test_issued_applied_taken_off_and_voided(finance, api, invoice):
    note = api.post(
        "/v1/credit-notes",
        {
            "invoice_id": invoice["invoice_id"],
            "reason": "other",
            "credit_note_lines": [amount(line_ids(invoice)[0], 4_000)],
        },
    ).data

    assert "Credit note CN-000001 is issued over €40.00" in page(act(finance, note, "issue"))
    assert "€30.00 was applied" in page(act(finance, note, "allocate", amount="30"))
    assert_books(invoice["order_id"], credit=3_000, outstanding=7_490)
    assert "€30.00 is owed on the invoice again" in page(act(finance, note, "reverse"))
    shown = page(act(finance, note, "void"))
    assert "The credit note is void" in shown
    assert "Credit applied to the invoice: €30.00" in shown
    assert_books(invoice["order_id"], credit=0, outstanding=10_490)
    assert read_note(api, note)["status"] == "void"


def test_the_same_form_sent_twice_is_applied_once(finance, api, invoice):
    note = credited(api, invoice)
    where = url("creditnote_allocate", note["credit_note_id"])
    data = {**hidden(page(finance.get(where))), "amount": "10"}

    finance.post(where, data)
    again = finance.post(where, data, follow=True)

    assert "by this form before" in page(again)
    assert_books(invoice["order_id"], credit=1_000)


def test_money_of_a_paid_invoice_goes_back(finance, api, invoice):
    pay_invoice(invoice)
    note = credited(api, invoice)

    shown = page(act(finance, note, "refund", reason="requested_by_customer", reason_message="As agreed"))

    assert "€40.00 goes back to the customer" in shown
    assert read_note(api, note)["refunded_money"] == wire(eur(4_000))
    assert_books(invoice["order_id"], refunded=4_000, credit=4_000, balance=0)
    assert url("creditnote_refund", note["credit_note_id"]) not in shown, "nothing is left for the button"


def test_what_cannot_be_is_said_on_the_form(finance, api, invoice):
    note = credited(api, invoice)
    where = url("creditnote_allocate", note["credit_note_id"])
    data = {**hidden(page(finance.get(where))), "amount": "40.01"}

    response = finance.post(where, data)

    assert response.status_code == 400
    assert "has less credit left" in response.content.decode()
    assert_books(invoice["order_id"], credit=0)


def test_support_may_refund_but_not_issue(merchant, api, invoice):
    support = signed_in(merchant, "support")
    note = credited(api, invoice)

    shown = page(support.get(url("creditnote_change", note["credit_note_id"])))

    assert url("creditnote_void", note["credit_note_id"]) not in shown
    assert support.get(url("creditnote_void", note["credit_note_id"])).status_code == 403


def test_the_list_and_the_documents(finance, api, invoice, django_assert_max_num_queries):
    note = credited(api, invoice)
    with django_assert_max_num_queries(14):
        shown = page(finance.get(reverse("admin:invoices_creditnote_changelist")))
    assert "CN-000001" in shown and "€40.00" in shown

    for where in (
        url("creditnote_document", note["credit_note_id"]),
        url("invoice_document", invoice["invoice_id"]),
    ):
        response = finance.get(where)
        assert response["Content-Type"] == "application/pdf"
        assert response.content.startswith(b"%PDF")
