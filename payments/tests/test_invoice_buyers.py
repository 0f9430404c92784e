"""Whoever has an invoice's link, over the API: that one invoice, its payment and its credit notes, and nothing else."""

import pytest

from flint.api.documents import document
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.client import ApiClient
from flint.testing.stories import eur, line, wire
from invoices.links import InvoiceLinkUnavailable, link_of, open_by_secret
from invoices.models import Invoice
from orders.models import Order
from payments.api.invoices.authentication import buyer_of
from payments.services.invoices import launching
from payments.tests.acts import THREE_D_SECURE, charged, kinds_of, nothing_moves, pay
from payments.tests.test_invoice_checkout import buyer_in, in_parts, open_checkout

HIDDEN = {
    "collection_mode",
    "delivery_mode",
    "payment_method_id",
    "payment_policy",
    "metadata",
    "external_reference_id",
    "public_url",
    "reminders_paused",
    "reminders_paused_at",
    "uncollectible_at",
    "written_off_money",
}


class Holder(ApiClient):
    """Calls the API with the secret of an invoice's link."""

    def __init__(self, invoice: Invoice):
        super().__init__(link_of(invoice).rpartition("/")[2], invoice.environment)


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment, line(10_000), internal_note="Pays late.")


@pytest.fixture
def invoice(order) -> Invoice:
    return stories.issued_invoice(order, external_reference_id="A-1", metadata={"shelf": "3"}).invoice


@pytest.fixture
def holder(invoice) -> Holder:
    return Holder(invoice)


class TestReading:
    def test_it_is_shown_without_what_is_the_merchants(self, holder, invoice):
        read = holder.get(f"/v1/me/invoices/{invoice.id}")

        assert read.status_code == 200, read.content
        assert not HIDDEN & set(read.data)
        assert "internal_note" not in read.data["snapshot"]
        assert read.data["outstanding_money"] == wire(eur(10_000))
        assert read.data["buyer_actions"] == [{"kind": "pay", "is_available": True, "is_required": True}]

    def test_what_can_be_done_about_it(self, api, environment, order, holder, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        asked = pay(buyer, order, THREE_D_SECURE)
        (action,) = holder.get(f"/v1/me/invoices/{invoice.id}").data["buyer_actions"]
        assert (action["is_available"], action["unavailable_reason"]) == (False, "payment_in_progress")
        api.post(
            f"/v1/invoices/{invoice.id}/payment-attempts/"
            f"{asked.data['payment_attempt']['order_payment_attempt_id']}/cancel"
        )
        pay(buyer, order)
        read = holder.get(f"/v1/me/invoices/{invoice.id}").data
        assert (read["status"], read["buyer_actions"]) == ("paid", [])

    def test_its_parts(self, environment):
        invoice = in_parts(stories.open_order(environment))
        read = Holder(invoice).get(f"/v1/me/invoices/{invoice.id}").data
        (action,) = read["buyer_actions"]
        assert action["due_at"] == read["schedule_entries"][0]["due_at"]

    def test_the_document(self, holder, invoice):
        answer = holder.get(f"/v1/me/invoices/{invoice.id}/pdf")
        assert (answer.status_code, answer["Content-Type"], answer.content[:5]) == (200, "application/pdf", b"%PDF-")


class TestPaying:
    def test_the_checkout(self, environment, order, holder, invoice):
        opened = holder.post(f"/v1/me/invoices/{invoice.id}/checkout-session", {"surface": "embedded"})

        assert opened.status_code == 200, opened.content
        assert not HIDDEN & set(opened.data["invoice"])
        assert "metadata" not in opened.data["checkout_session"]
        pay(buyer_in(opened.data, environment), order)
        assert_books(order, paid=10_000, outstanding=0)
        assert charged(order) == [10_000]

    def test_the_merchant_and_the_buyer_get_the_same_one(self, api, holder, invoice):
        first = open_checkout(api, invoice)
        again = holder.post(f"/v1/me/invoices/{invoice.id}/checkout-session")
        assert again.data["reused_existing"]
        assert first["checkout_session"]["checkout_session_id"] == again.data["checkout_session"]["checkout_session_id"]


class TestCreditNotes:
    @pytest.fixture
    def note(self, api, invoice) -> dict:
        body = {"invoice_id": invoice.id, "reason": "goodwill", "external_reference_id": "X-1"}
        (billed,) = invoice.snapshot["line_items"]
        correction = {"type": "amount", "amount_money": wire(eur(1_000))}
        body["credit_note_lines"] = [{"invoice_line_item_id": billed["invoice_line_item_id"], "correction": correction}]
        made = api.post("/v1/credit-notes", body)
        assert made.status_code == 201, made.content
        return made.data

    def test_once_they_are_issued(self, api, holder, invoice, note):
        path = f"/v1/me/invoices/{invoice.id}/credit-notes"
        assert holder.get(path).data == []
        assert holder.get(f"{path}/{note['credit_note_id']}").status_code == 404

        issued = api.post(f"/v1/credit-notes/{note['credit_note_id']}/issue", {}, key="issue")
        assert issued.status_code == 200, issued.content

        (listed,) = holder.get(path).data
        assert listed["credit_note_number"] and "external_reference_id" not in listed
        assert holder.get(f"{path}/{note['credit_note_id']}").data == listed
        document = holder.get(f"{path}/{note['credit_note_id']}/pdf")
        assert document.content[:5] == b"%PDF-"


class TestTheCredential:
    def test_none_at_all(self, environment, invoice):
        answer = Holder(invoice).get(f"/v1/me/invoices/{invoice.id}", headers={"Authorization": None})
        assert (answer.status_code, answer.code) == (401, "BUYER_INVOICE_CREDENTIAL_REQUIRED")

    def test_a_wrong_one_or_an_api_key(self, api, invoice):
        holder = Holder(invoice)
        wrong = holder.get(f"/v1/me/invoices/{invoice.id}", headers={"Authorization": "Bearer nonsense"})
        key = api.get(f"/v1/me/invoices/{invoice.id}")
        for answer in (wrong, key):
            assert (answer.status_code, answer.code) == (401, "BUYER_INVOICE_CREDENTIAL_INVALID")

    def test_one_that_was_replaced(self, api, holder, invoice):
        api.post(f"/v1/invoices/{invoice.id}/regenerate-public-link")
        answer = holder.get(f"/v1/me/invoices/{invoice.id}")
        assert (answer.status_code, answer.code) == (404, "INVOICE_LINK_UNAVAILABLE")
        invoice.refresh_from_db()
        assert Holder(invoice).get(f"/v1/me/invoices/{invoice.id}").status_code == 200

    def test_a_draft_has_none(self, environment, order):
        draft = stories.draft_invoice(order)
        assert link_of(draft) == ""
        for secret in ("", "x"):
            with pytest.raises(Exception, match="opens no such invoice"):
                open_by_secret(draft.id, secret)

    def test_nothing_else_can_be_reached_with_it(self, api, environment, order, holder, invoice):
        """Every operation of the document that names something or lists, with the secret of one invoice's link."""
        other_order = stories.open_order(environment)
        other = stories.issued_invoice(other_order).invoice
        ids = {"invoice_id": other.id, "order_id": other_order.id}
        answers = {}
        with nothing_moves(order, other_order):
            for template, methods in document()["paths"].items():
                for method, operation in methods.items():
                    if method not in ("get", "post", "patch", "delete") or not operation.get("security"):
                        continue
                    names = {name: ids.get(name, order.id) for name in parameters_of(template)}
                    answer = holder.call(method.upper(), template.format(**names), body=None)
                    answers[method, template] = answer.status_code
        assert len(answers) > 60
        assert {found for found, status in answers.items() if status not in (401, 403, 404)} == set()

    def test_of_the_order_it_reaches_nothing_either(self, holder, order, invoice):
        for path in (f"/v1/orders/{order.id}", f"/v1/invoices/{invoice.id}", "/v1/invoices", "/v1/me/invoices"):
            assert holder.get(path).status_code in (401, 404), path
        assert "invoice.viewed" not in kinds_of(order)


def parameters_of(template: str) -> list[str]:
    """The names in a path."""
    return [part[1:-1] for part in template.split("/") if part.startswith("{")]


def test_a_link_replaced_while_its_buyer_was_being_let_in_opens_no_checkout(invoice):
    for generation in (invoice.link_generation - 1, invoice.link_generation + 1):
        with pytest.raises(InvoiceLinkUnavailable):
            launching.open_checkout(invoice_id=invoice.id, data={}, actor=buyer_of(invoice), link_generation=generation)

    assert not invoice.checkout_sessions.exists()
