"""The buyer's page of an invoice without a browser: how one gets in, what it says in each state, and where it leads."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from flint.testing import stories
from flint.testing.stories import eur, line, wire
from invoices.links import link_of
from invoices.models import Invoice
from orders.models import Order
from payments.models import CheckoutSession
from payments.tests.acts import THREE_D_SECURE, charged, kinds_of, later, pay
from payments.tests.test_invoice_checkout import buyer_in, in_parts, open_checkout
from refunds.tests.disputing import dispute


@pytest.fixture(autouse=True)
def nobody_tried_before():
    cache.clear()


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment, line(2_500, quantity=4, name="Espresso beans"))


@pytest.fixture
def invoice(order) -> Invoice:
    return stories.issued_invoice(order, memo="Thank you for your order.").invoice


class Window:
    """A browser of a buyer who was sent the link."""

    def __init__(self, invoice: Invoice):
        self.invoice, self.client = invoice, Client()
        self.arrival = self.client.get(path_of(link_of(invoice)))

    def text(self, path: str = "", **options) -> str:
        answer = self.client.get(f"/invoices/{self.invoice.id}{path}", **options)
        assert answer.status_code == 200, answer.content
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))

    def press_pay(self):
        return self.client.post(f"/invoices/{self.invoice.id}/pay")


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def post(api, invoice: Invoice, verb: str, **body):
    answer = api.post(f"/v1/invoices/{invoice.id}/{verb}", body or None)
    assert answer.status_code in (200, 201), answer.content


class TestGettingIn:
    def test_the_secret_leaves_the_address_for_a_cookie(self, invoice):
        window = Window(invoice)

        secret = link_of(invoice).rpartition("/")[2]
        assert (window.arrival.status_code, window.arrival["Location"]) == (303, f"/invoices/{invoice.id}")
        cookie = window.client.cookies["flint_invoice"]
        assert (cookie.value, cookie["path"], cookie["httponly"]) == (secret, f"/invoices/{invoice.id}", True)
        assert cookie["samesite"] == "Lax"
        page = window.client.get(f"/invoices/{invoice.id}")
        for answer in (window.arrival, page):
            assert answer["Referrer-Policy"] == "same-origin" and "no-store" in answer["Cache-Control"]
            assert "default-src 'none'" in answer["Content-Security-Policy"]
            assert secret not in answer.content.decode()
        assert "<script" not in page.content.decode()

    def test_it_is_remembered_that_it_was_seen_once(self, order, invoice):
        window = Window(invoice)
        assert "invoice.viewed" not in kinds_of(order)
        window.text()
        invoice.refresh_from_db()
        seen = invoice.viewed_at
        window.text()
        invoice.refresh_from_db()
        assert seen and invoice.viewed_at == seen
        assert kinds_of(order).count("invoice.viewed") == 1

    def test_nobody_gets_in_without_the_link(self, environment, order, invoice):
        other = stories.issued_invoice(stories.open_order(environment)).invoice
        assert Client().get(f"/invoices/{invoice.id}").status_code == 404
        assert Client().get(f"/invoices/{invoice.id}/nonsense").status_code == 404
        assert Client().get(path_of(link_of(invoice)).replace(invoice.id, other.id)).status_code == 404
        stranger = Window(other)
        for path in ("", "/pdf", "/theme.css"):
            assert stranger.client.get(f"/invoices/{invoice.id}{path}").status_code == 404
        assert stranger.client.post(f"/invoices/{invoice.id}/pay").status_code == 404
        draft = stories.draft_invoice(stories.open_order(environment))
        assert Client().get(f"/invoices/{draft.id}/").status_code == 404
        assert not CheckoutSession.objects.exists()

    def test_guessing_is_slowed_down(self, invoice):
        client = Client()
        for _ in range(20):
            assert client.get(f"/invoices/{invoice.id}/guess").status_code == 404
        assert client.get(path_of(link_of(invoice))).status_code == 404

    def test_a_link_that_was_replaced(self, api, invoice):
        window = Window(invoice)
        old = link_of(invoice)
        post(api, invoice, "regenerate-public-link")
        for answer in (window.client.get(f"/invoices/{invoice.id}"), Client().get(path_of(old)), window.press_pay()):
            assert answer.status_code == 410
            assert "There is a newer link" in answer.content.decode()
        invoice.refresh_from_db()
        assert "This invoice is open" in Window(invoice).text()


class TestPaying:
    def test_the_button_opens_the_checkout_which_leads_back(self, environment, order, invoice):
        window = Window(invoice)

        there = window.press_pay()

        session = CheckoutSession.objects.get()
        assert (there.status_code, there["Location"]) == (303, f"/checkout/{session.id}")
        assert session.settings["redirects"]["success_redirect_url"].endswith(f"/invoices/{invoice.id}")
        checkout = window.client.get(there["Location"])
        assert "Pay €100.00" in checkout.content.decode()
        assert "Back to the invoice" in checkout.content.decode()
        assert window.press_pay()["Location"] == there["Location"]

    def test_a_part_of_it(self, environment, order):
        invoice = in_parts(order)
        window = Window(invoice)
        assert "Pay €30.00" in window.text() and "Paid in parts" in window.text()
        checkout = window.client.get(window.press_pay()["Location"]).content.decode()
        assert "Pay €30.00" in checkout and 'name="amount" value="3000"' in checkout

    def test_while_somebody_pays_it_leads_to_that_payment(self, api, environment, order, invoice):
        opened = open_checkout(api, invoice)
        pay(buyer_in(opened, environment), order, THREE_D_SECURE)
        window = Window(invoice)
        assert "A payment of this invoice is under way" in window.text()
        session_id = opened["checkout_session"]["checkout_session_id"]
        assert window.press_pay()["Location"] == f"/checkout/{session_id}"
        assert len(charged(order)) == 0

    def test_one_that_asks_for_nothing_stays_where_it_is(self, api, invoice):
        window = Window(invoice)
        post(api, invoice, "void")
        assert window.press_pay()["Location"] == f"/invoices/{invoice.id}"
        assert not CheckoutSession.objects.exists()


def test_an_older_pay_link_of_the_order_leads_to_the_invoices_checkout(api, environment, order):
    link = api.post(f"/v1/orders/{order.id}/pay-link").data["url"]
    invoice = in_parts(order)
    there = Client().get(path_of(link))
    session = CheckoutSession.objects.get()
    assert (session.invoice_id, there["Location"].split("/")[2]) == (invoice.id, session.id)
    stranger = Client()
    assert "Pay €30.00" in stranger.get(path_of(link), follow=True).content.decode()


class TestStates:
    def test_open_and_due(self, environment, order):
        due = {"type": "absolute", "due_at": "2031-05-05T12:00:00Z"}
        text = Window(stories.issued_invoice(order, payment_due=due).invoice).text()
        assert "This invoice is open" in text and "It is due on May 5, 2031." in text
        assert "Espresso beans 4 × €25.00 €100.00" in text

    def test_overdue(self, environment, order):
        due = {"type": "absolute", "due_at": "2026-02-03T12:00:00Z"}
        invoice = stories.issued_invoice(order, payment_due=due).invoice
        text = Window(invoice).text()
        assert "This invoice is overdue" in text and "It was due on February 3, 2026." in text
        assert "Pay €100.00" in text

    def test_partly_paid_and_then_paid(self, api, environment, order, invoice):
        window = Window(invoice)
        post(api, invoice, "manual-payments", amount_money=wire(eur(4_000)))
        text = window.text()
        assert "A part of this invoice is paid" in text and "Pay €60.00" in text
        assert "Paid so far -€40.00" in text
        pay(buyer_in(open_checkout(api, invoice), environment), order)
        text = window.text()
        assert "Thank you, this invoice is paid" in text and "Pay €" not in text
        assert re.search(r"History Issued .* €100.00 Paid .* €40.00 Paid .* €60.00", text)

    def test_in_parts_with_nothing_due(self, api, environment, order):
        invoice = in_parts(order)
        pay(buyer_in(open_checkout(api, invoice), environment), order)
        text = Window(invoice).text()
        assert "Nothing is due before" in text and "Pay €70.00" in text
        assert "Deposit" in text and "Balance" in text

    def test_withdrawn_written_off_and_collected_outside(self, api, environment, order, invoice):
        window = Window(invoice)
        post(api, invoice, "mark-uncollectible")
        assert "This invoice is closed" in window.text() and "written" not in window.text().lower()
        second = stories.issued_invoice(stories.open_order(environment)).invoice
        window = Window(second)
        post(api, second, "void")
        assert "This invoice was withdrawn" in window.text()
        address = {"line1": "Via Roma 1", "city": "Milano", "state": "MI", "postal_code": "20121", "country": "IT"}
        third = stories.issued_invoice(
            stories.open_order(environment), collection={"mode": "external"}, remit_to_address=address
        ).invoice
        text = Window(third).text()
        assert "bank transfer" in text and "20121 Milano MI" in text and "Pay €" not in text

    def test_a_bank_that_takes_days(self, api, environment):
        order = stories.open_order(environment, line(10_000, currency="USD"))
        invoice = stories.issued_invoice(order).invoice
        pay(buyer_in(open_checkout(api, invoice), environment), order, "pm_usBankAccount_success")
        assert "Your bank is processing the payment" in Window(invoice).text()

    def test_one_whose_money_a_dispute_took_back(self, api, environment, order):
        invoice = in_parts(order)
        pay(buyer_in(open_checkout(api, invoice), environment), order)
        dispute(order)
        text = Window(invoice).text()
        assert "This invoice cannot be paid right now" in text and "Taken back by your bank €30.00" in text

    def test_the_buyers_own_language(self, invoice):
        text = Window(invoice).text(headers={"accept-language": "de-DE"})
        assert "Diese Rechnung ist offen" in text and "100,00 € bezahlen" in text

    def test_the_documents(self, invoice):
        window = Window(invoice)
        document = window.client.get(f"/invoices/{invoice.id}/pdf")
        assert document["Content-Type"] == "application/pdf" and document.content[:5] == b"%PDF-"
        assert window.client.get(f"/invoices/{invoice.id}/credit-notes/cn_1/pdf").status_code == 404

    def test_what_it_takes_to_show_it(self, django_assert_max_num_queries, environment, order, invoice):
        window = Window(invoice)
        window.text()
        with django_assert_max_num_queries(12):
            window.text()


def test_an_expired_session_is_opened_anew(environment, order, invoice):
    window = Window(invoice)
    first = window.press_pay()["Location"]
    session = CheckoutSession.objects.get()
    session.expires_at = later(seconds=-1)
    session.save()
    assert window.press_pay()["Location"] != first
