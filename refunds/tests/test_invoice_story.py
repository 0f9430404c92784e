"""
From a checkout to an invoice to a credit note: one sale, told in four ways that agree at every step.

Run with ``-s`` to see them side by side.
"""

import re
from dataclasses import astuple, dataclass
from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client

from flint.merchants.models import Environment
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.client import ApiClient
from flint.testing.reports import COMMITTED, minor, report
from flint.testing.stories import eur, line, settled, wire
from orders.models import LedgerEntry, Order
from payments.models import CheckoutSession
from payments.tests.acts import charged
from payments.tests.buyers import buyer_of

pytestmark = pytest.mark.django_db(**COMMITTED)

CARD = {"number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123"}


@dataclass(frozen=True)
class Figures:
    """What one way of telling says: amounts in minor units."""

    total: int
    paid: int
    refunded: int
    credited: int
    outstanding: int


class Sale:
    """The order, its invoice once there is one, and what the books, the API and the report say of them."""

    def __init__(self, api: ApiClient, environment: Environment, order: Order):
        self.api, self.environment, self.order = api, environment, order
        self.invoice_id = ""

    def by_order(self) -> Figures:
        read = self.api.get(f"/v1/orders/{self.order.id}").data
        settlement = read["settlement_amounts"]
        return Figures(
            amount(read["pricing_amounts"]["total_money"]),
            amount(settlement["paid_money"]),
            amount(settlement["refunded_money"]),
            amount(settlement["credit_money"]),
            amount(settlement["outstanding_money"]),
        )

    def by_invoice(self) -> Figures | None:
        if not self.invoice_id:
            return None
        read = self.api.get(f"/v1/invoices/{self.invoice_id}").data
        return Figures(
            amount(read["snapshot"]["pricing_amounts"]["total_money"]),
            amount(read["paid_money"]),
            amount(read["refunded_money"]),
            amount(read["credit_money"]),
            amount(read["outstanding_money"]),
        )

    def by_ledger(self) -> Figures:
        def moved(**accounts: str) -> int:
            entries = LedgerEntry.objects.filter(order_id=self.order.id, **accounts)
            return entries.aggregate(sum=Sum("amount"))["sum"] or 0

        sales = moved(debit="receivable", kind__startswith="sale_")
        paid = moved(debit="processor", credit="receivable")
        refunded = moved(debit="receivable", credit="processor")
        credited = moved(credit="receivable", kind__startswith="credit_")
        return Figures(sales, paid, refunded, credited, moved(debit="receivable") - moved(credit="receivable"))

    def by_report(self) -> Figures:
        (row,) = report(self.environment, "orders_itemized_v1").rows
        names = ("sold", "paid", "refunded", "credited", "owed")
        return Figures(*(minor(row[name]) for name in names))

    def agree(self, step: str, expected: Figures) -> None:
        """Print what each way says of the sale now, and assert that it is the same."""
        told = {
            "order": self.by_order(),
            "invoice": self.by_invoice(),
            "ledger": self.by_ledger(),
            "report": self.by_report(),
        }
        print(f"\n{step}\n{'':10}{'total':>10}{'paid':>10}{'refunded':>10}{'credited':>10}{'owed':>10}")
        for name, figures in told.items():
            if figures is not None:
                print(f"{name:10}" + "".join(f"{each / 100:>10.2f}" for each in astuple(figures)))
        assert {name: figures for name, figures in told.items() if figures not in (None, expected)} == {}
        assert_books(self.order, total=expected.total, paid=expected.paid, outstanding=expected.outstanding)


def amount(money: dict[str, Any]) -> int:
    return Money(money["amount"], "EUR").amount


def pay_on_the_invoices_page(public_url: str) -> str:
    """Open the link, press the button, pay with a card on the page it leads to; return what the invoice then says."""
    window = Client()
    invoice_page = window.get("/" + public_url.split("/", 3)[3])["Location"]
    window.get(invoice_page)
    checkout = window.post(f"{invoice_page}/pay")["Location"]
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text_of(window, checkout)))
    assert window.post(f"{checkout}/pay", {**hidden, **CARD}).status_code == 303
    onward = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', text_of(window, checkout))
    assert onward[1].endswith(invoice_page)
    return text_of(window, invoice_page)


def text_of(window: Client, path: str) -> str:
    return window.get(path).content.decode()


def test_partly_paid_at_checkout_then_invoiced_paid_refunded_and_credited(api, environment):
    order = stories.open_order(environment, line(2_500, quantity=4, name="Espresso beans"))
    sale = Sale(api, environment, order)
    sale.agree("Ordered", Figures(10_000, 0, 0, 0, 10_000))

    # At the checkout the buyer pays a part, and leaves the rest.
    buyer = buyer_of(order)
    part = buyer.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(4_000))})
    intent = {"payment_intent_id": part.data["payment_intent"]["payment_intent_id"], "token": "pm_card_visa"}
    body = {"action": "confirm_payment_intents", "payment_intents": [intent], "completion_behavior": "partial_payment"}
    paid = buyer.post(f"/v1/orders/{order.id}/pay", body)
    assert paid.data["payment_attempt"]["status"] == "succeeded", paid.content
    assert CheckoutSession.objects.get().status == "partially_paid"
    sale.agree("Partly paid at the checkout", Figures(10_000, 4_000, 0, 0, 6_000))

    # An invoice asks for the rest.
    drafted = api.post("/v1/invoices", {"order_id": order.id})
    sale.invoice_id = drafted.data["invoice_id"]
    issued = api.post(f"/v1/invoices/{sale.invoice_id}/issue", {"delivery_mode": "caller_managed"}).data
    assert issued["invoice"]["status"] == "partially_paid"
    sale.agree("Invoiced", Figures(10_000, 4_000, 0, 0, 6_000))

    page = pay_on_the_invoices_page(issued["public_url"])
    assert "Thank you, this invoice is paid" in page
    assert charged(order) == [4_000, 6_000]
    sale.agree("Paid by card on the invoice's page", Figures(10_000, 10_000, 0, 0, 0))

    # Something goes back by itself, and a unit by a credit note.
    stories.refund(order, amount_money=eur(1_500))
    sale.agree("Partly refunded", Figures(10_000, 10_000, 1_500, 1_500, 0))

    (billed,) = issued["invoice"]["snapshot"]["line_items"]
    correction = {"type": "quantity", "quantity": 1}
    note = api.post(
        "/v1/credit-notes",
        {
            "invoice_id": sale.invoice_id,
            "reason": "returned_goods",
            "credit_note_lines": [{"invoice_line_item_id": billed["invoice_line_item_id"], "correction": correction}],
        },
    )
    assert note.status_code == 201, note.content
    with settled():
        credited = api.post(
            f"/v1/credit-notes/{note.data['credit_note_id']}/issue",
            {"refund": {"reason": "requested_by_customer"}},
            key="issue-1",
        )
    assert credited.status_code == 200, credited.content
    stories.deliver_notices(environment)
    read = api.get(f"/v1/credit-notes/{note.data['credit_note_id']}").data
    assert (amount(read["total_money"]), amount(read["refunded_money"])) == (2_500, 2_500)
    print(f"\n{read['credit_note_number']} over 25.00 of {issued['invoice']['invoice_number']}, all of it given back")
    sale.agree("Credited, and given back by the note", Figures(10_000, 10_000, 4_000, 4_000, 0))

    invoice = api.get(f"/v1/invoices/{sale.invoice_id}").data
    assert (invoice["status"], invoice["refund_status"]) == ("paid", "partially_refunded")
    assert sum(charged(order)) == 10_000
