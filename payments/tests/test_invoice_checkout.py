"""Paying an invoice through its checkout: what it asks for, when it is handed out again, and how it ends."""

import pytest

from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, line, wire
from invoices.models import Invoice
from orders.models import Order
from payments.models import CheckoutSession, PaymentIntent
from payments.tests.acts import (
    THREE_D_SECURE,
    attempt_of,
    authenticate,
    charged,
    kinds_of,
    later,
    nothing_moves,
    pay,
    resume,
)
from payments.tests.buyers import Buyer

DEPOSIT = {
    "kind": "deposit",
    "amount_specification": {"type": "fixed", "amount_money": eur(3_000)},
    "due": {"type": "at_issue"},
}
REST = {"kind": "balance", "amount_specification": {"type": "remaining_balance"}}


def in_parts(order: Order) -> Invoice:
    """A deposit of 30.00 now and the rest in 30 days, of 100.00."""
    entries = [DEPOSIT, {**REST, "due": {"type": "date", "due_at": later(days=30).isoformat()}}]
    return stories.issued_invoice(order, schedule_entries=entries).invoice


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


@pytest.fixture
def invoice(order) -> Invoice:
    return stories.issued_invoice(order).invoice


def open_checkout(api, invoice: Invoice, **body):
    answer = api.post(f"/v1/invoices/{invoice.id}/checkout-session", body or None)
    assert answer.status_code == 200, answer.content
    return answer.data


def refused(api, invoice: Invoice, **body):
    return api.post(f"/v1/invoices/{invoice.id}/checkout-session", body or None)


def buyer_in(opened: dict, environment: Environment) -> Buyer:
    token = opened["checkout_access"]["checkout_auth_token"]
    return Buyer(opened["checkout_session"]["checkout_session_id"], token, environment)


class TestPaying:
    def test_the_whole_of_it(self, api, environment, order, invoice):
        opened = open_checkout(api, invoice)
        buyer = buyer_in(opened, environment)

        paid = pay(buyer, order, expected_outstanding_money=wire(eur(10_000)))

        assert paid.data["payment_attempt"]["status"] == "succeeded"
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0, payment_status="paid")
        read = api.get(f"/v1/invoices/{invoice.id}").data
        assert (read["status"], read["paid_money"], read["outstanding_money"]) == (
            "paid",
            wire(eur(10_000)),
            wire(eur(0)),
        )
        assert (buyer.session.status, buyer.session.terminal_reason) == ("paid", "payment_succeeded")
        assert "invoice.paid" in kinds_of(order)

    def test_the_payment_says_which_invoice_it_is_for(self, api, environment, order, invoice):
        pay(buyer_in(open_checkout(api, invoice), environment), order)

        leg = api.get(f"/v1/payment-intents/{PaymentIntent.objects.get().id}?expand=invoice").data
        assert (leg["payment_flow"], leg["invoice_id"]) == ("invoice", invoice.id)
        assert leg["invoice"]["invoice_number"] == invoice.number
        listed = api.get(f"/v1/payment-intents?invoice_id={invoice.id}&payment_flow=invoice").data
        assert [each["payment_intent_id"] for each in listed] == [leg["payment_intent_id"]]
        assert api.get("/v1/payment-intents?payment_flow=api,checkout").data == []
        (attempt,) = api.get(f"/v1/invoices/{invoice.id}/payment-attempts").data
        assert (attempt["status"], attempt["rail"]) == ("settled", "card")
        assert attempt["expected_amount_money"] == wire(eur(10_000))
        assert attempt["payment_intent_id"] == leg["payment_intent_id"]

    def test_part_after_part(self, api, environment, order):
        invoice = in_parts(order)
        first = open_checkout(api, invoice)
        assert first["checkout_session"]["payment_collection"]["stripe"]["elements"]["amount_money"] == wire(eur(3_000))

        pay(buyer_in(first, environment), order, expected_outstanding_money=wire(eur(3_000)))

        assert charged(order) == [3_000]
        assert_books(order, paid=3_000, outstanding=7_000, payment_status="partially_paid")
        session = CheckoutSession.objects.get()
        assert (session.status, session.terminal_reason) == ("partially_paid", "payment_partially_succeeded")
        read = api.get(f"/v1/invoices/{invoice.id}").data
        assert (read["status"], read["currently_due_money"]) == ("partially_paid", wire(eur(0)))
        assert [entry["status"] for entry in read["schedule_entries"]] == ["satisfied", "pending"]

        # Nothing is due now, so that whoever pays early pays the next part.
        second = open_checkout(api, invoice)
        assert not second["reused_existing"]
        pay(buyer_in(second, environment), order, expected_outstanding_money=wire(eur(7_000)))

        assert charged(order) == [3_000, 7_000]
        assert_books(order, paid=10_000, outstanding=0)
        invoice.refresh_from_db()
        assert invoice.status == "paid"

    def test_a_buyer_who_expects_all_of_it_to_be_asked_for_is_told(self, api, environment, order):
        invoice = in_parts(order)
        buyer = buyer_in(open_checkout(api, invoice), environment)
        with nothing_moves(order):
            changed = pay(buyer, order, expected_outstanding_money=wire(eur(10_000)))
        assert (changed.code, changed.error["current_money"]) == ("ORDER_CHANGED_REFRESH_REQUIRED", wire(eur(3_000)))

    def test_a_later_part_waits_for_the_one_before(self, api, order):
        invoice = in_parts(order)
        first, second = invoice.schedule_entries.order_by("position")
        with nothing_moves(order):
            answer = refused(api, invoice, invoice_schedule_entry_id=second.id)
        assert (answer.status_code, answer.code) == (409, "INVOICE_SCHEDULE_ENTRY_NOT_COLLECTIBLE")
        open_checkout(api, invoice, invoice_schedule_entry_id=first.id)

    def test_with_several_cards(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        too_much = buyer.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(10_001))})
        assert too_much.code == "AMOUNT_EXCEEDS_BALANCE"
        held = buyer.post(f"/v1/orders/{order.id}/payment-intents", {"capture_method": "manual"})
        assert (held.code, held.error["reason"]) == ("PAYMENT_OPTION_NOT_ALLOWED", "manual_capture_not_supported")
        made = buyer.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(4_000))})
        assert made.data["payment_intent"]["invoice_id"] == invoice.id

    def test_a_decline_leaves_it_payable(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)

        declined = pay(buyer, order, "pm_card_chargeDeclined")

        assert declined.data["payment_attempt"]["status"] == "failed"
        leg = PaymentIntent.objects.get()
        assert (leg.status, leg.cancellation_reason) == ("canceled", "invoice_payment_failed")
        assert kinds_of(order).count("invoice.payment_failed") == 1
        (attempt,) = api.get(f"/v1/invoices/{invoice.id}/payment-attempts").data
        assert (attempt["status"], attempt["failure_code"]) == ("failed", "card_declined")
        pay(buyer, order)
        assert_books(order, paid=10_000, outstanding=0)

    def test_the_merchants_options(self, api, environment, order):
        policy = {"mode": "buyer_initiated", "payment_policy": {"enabled_payment_options": ["ach_debit"]}}
        invoice = stories.issued_invoice(order, collection=policy).invoice
        buyer = buyer_in(open_checkout(api, invoice), environment)
        assert pay(buyer, order).code == "PAYMENT_OPTION_NOT_ALLOWED"


class TestHandingItOutAgain:
    def test_an_idle_one_is_the_same(self, api, environment, order, invoice):
        first, again = open_checkout(api, invoice), open_checkout(api, invoice)

        assert (first["reused_existing"], again["reused_existing"]) == (False, True)
        assert first["checkout_session"]["checkout_session_id"] == again["checkout_session"]["checkout_session_id"]
        assert first["checkout_session"]["invoice_id"] == invoice.id
        for opened in (first, again):
            buyer = buyer_in(opened, environment)
            assert buyer.get(f"/v1/checkout-sessions/{buyer.session_id}").status_code == 200

    def test_another_surface_or_part_replaces_an_idle_one(self, api, order):
        invoice = in_parts(order)
        first = open_checkout(api, invoice)
        entry = invoice.schedule_entries.order_by("position").first()
        second = open_checkout(api, invoice, surface="embedded")
        third = open_checkout(api, invoice, surface="embedded", invoice_schedule_entry_id=entry.id)

        assert not second["reused_existing"] and not third["reused_existing"]
        ended = CheckoutSession.objects.get(id=first["checkout_session"]["checkout_session_id"])
        assert (ended.status, ended.terminal_reason) == ("invalidated", "superseded")
        assert ended.superseded_by_id == second["checkout_session"]["checkout_session_id"]

    def test_one_that_is_being_paid_stays(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        asked = pay(buyer, order, THREE_D_SECURE)

        with nothing_moves(order):
            again = refused(api, invoice)
            other = refused(api, invoice, surface="embedded")

        assert (again.status_code, again.code) == (409, "INVOICE_PAYMENT_RESOLVING")
        assert again.error["invoice_payment_attempt_id"] == attempt_of(asked)
        assert again.error["blocking_resources"][0]["resource_id"] == attempt_of(asked)
        assert other.code == "CHECKOUT_SURFACE_CHANGE_NOT_ALLOWED"
        authenticate(api, asked)
        resume(buyer, order, attempt_of(asked))
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_bank_that_takes_days(self, api, environment):
        order = stories.open_order(environment, line(10_000, currency="USD"))
        invoice = stories.issued_invoice(order).invoice
        pay(buyer_in(open_checkout(api, invoice), environment), order, "pm_usBankAccount_success")

        answer = refused(api, invoice)

        assert (answer.status_code, answer.code) == (409, "INVOICE_PAYMENT_PROCESSING")
        (attempt,) = api.get(f"/v1/invoices/{invoice.id}/payment-attempts").data
        assert (attempt["status"], attempt["rail"]) == ("processing", "ach_debit")
        assert kinds_of(order).count("invoice.payment_processing") == 1

    def test_where_the_buyer_comes_back_to(self, api, environment, order, invoice):
        first = open_checkout(api, invoice, return_url="https://shop.example/account")
        again = open_checkout(api, invoice, return_url="https://shop.example/invoices")
        assert again["reused_existing"]
        assert again["checkout_session"]["redirects"]["success_redirect_url"] == "https://shop.example/invoices"
        pay(buyer_in(first, environment), order, "pm_card_chargeDeclined")

        later_on = open_checkout(api, invoice, return_url="https://shop.example/account")

        assert not later_on["reused_existing"]
        for url in ("http://shop.example/account", "javascript:alert(1)", "https:/shop", "ftp://shop.example"):
            assert refused(api, invoice, return_url=url).code == "INVALID_RETURN_URL", url
        assert refused(api, invoice, return_url="http://localhost:3000/back").status_code == 200

    def test_it_is_not_replaced_as_an_orders_checkout_is(self, api, order, invoice):
        opened = open_checkout(api, invoice)
        session_id = opened["checkout_session"]["checkout_session_id"]
        with nothing_moves(order):
            body = {"order_id": order.id, "replace_checkout_session_id": session_id}
            replaced = api.post("/v1/checkout-sessions", body)
            beside = api.post("/v1/checkout-sessions", {"order_id": order.id})
            straight = pay(api, order)
        assert replaced.code == "INVOICE_CHECKOUT_REPLACEMENT_NOT_ALLOWED"
        assert (beside.code, straight.code) == ("ORDER_COLLECTION_ALREADY_ACTIVE", "ORDER_HAS_OPEN_CHECKOUT")


class TestRefusals:
    def test_a_draft(self, api, order):
        draft = stories.draft_invoice(order)
        assert refused(api, draft).code == "INVOICE_NOT_ISSUED"

    def test_one_that_is_paid(self, api, environment, order, invoice):
        pay(buyer_in(open_checkout(api, invoice), environment), order)
        assert refused(api, invoice).code == "INVOICE_NOT_COLLECTIBLE"

    def test_one_that_is_collected_outside(self, api, order):
        invoice = stories.issued_invoice(order, collection={"mode": "external"}).invoice
        assert refused(api, invoice).code == "INVOICE_NOT_COLLECTIBLE"

    def test_somebody_elses(self, other_api, invoice):
        assert refused(other_api, invoice).code == "INVOICE_NOT_FOUND"
