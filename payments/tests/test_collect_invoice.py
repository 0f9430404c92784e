"""Charging a saved payment method for an invoice: by the merchant's word, and by itself when it is due."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.models import Invoice
from invoices.services.autopay import collect_due
from orders.models import Customer, Order
from orders.services import create_customer
from payments.models import CheckoutSession, PaymentIntent
from payments.tests.acts import THREE_D_SECURE, attempts_of, charged, going_wrong, kinds_of, later, nothing_moves
from payments.tests.test_invoice_checkout import in_parts, open_checkout

DECLINES_LATER = "pm_card_chargeCustomerFail"


@pytest.fixture
def ann(environment) -> Customer:
    return create_customer(data={"email": "ann@buyer.example"}, actor=stories.actor_in(environment))


@pytest.fixture
def order(environment, ann) -> Order:
    return stories.open_order(environment, customer_id=ann.id)


@pytest.fixture
def invoice(order) -> Invoice:
    return stories.issued_invoice(order).invoice


def collect(api, invoice: Invoice, key: str | None = "collect-1", **body):
    return api.post(f"/v1/invoices/{invoice.id}/collect", body, key=key)


class TestCollect:
    def test_a_named_card(self, api, ann, order, invoice):
        card = stories.saved_card(ann)

        collected = collect(api, invoice, payment_method_id=card.id)

        assert collected.status_code == 200, collected.content
        assert collected.data["idempotency_key"] == "collect-1"
        assert collected.data["invoice"]["status"] == "paid"
        attempt = collected.data["invoice_payment_attempt"]
        assert (attempt["status"], attempt["expected_amount_money"]) == ("settled", wire(eur(10_000)))
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0)

    def test_the_customers_default(self, api, ann, order, invoice):
        card = stories.saved_card(ann)
        api.post(f"/v1/payment-methods/{card.id}/set-default")
        assert collect(api, invoice).status_code == 200
        assert_books(order, paid=10_000, outstanding=0)

    def test_nothing_to_charge(self, api, order, invoice):
        with nothing_moves(order):
            answer = collect(api, invoice)
        assert (answer.status_code, answer.code) == (409, "INVOICE_AUTOPAY_PAYMENT_METHOD_REQUIRED")

    def test_a_key_is_needed(self, api, ann, order, invoice):
        card = stories.saved_card(ann)
        with nothing_moves(order):
            answer = collect(api, invoice, key=None, payment_method_id=card.id)
        assert (answer.status_code, answer.code) == (400, "IDEMPOTENCY_KEY_REQUIRED")

    def test_what_is_due_of_it_and_then_the_next_part(self, api, ann, order):
        invoice, card = in_parts(order), stories.saved_card(ann)
        collect(api, invoice, payment_method_id=card.id)
        assert charged(order) == [3_000]
        rest = invoice.schedule_entries.order_by("position").last()
        answer = collect(api, invoice, key="collect-2", payment_method_id=card.id, invoice_schedule_entry_id=rest.id)
        assert answer.data["invoice_payment_attempt"]["invoice_schedule_entry_id"] == rest.id
        assert charged(order) == [3_000, 7_000]
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_decline(self, api, ann, order, invoice):
        card = stories.saved_card(ann, token=DECLINES_LATER)

        answer = collect(api, invoice, payment_method_id=card.id)

        assert (answer.status_code, answer.code) == (402, "INVOICE_PAYMENT_FAILED")
        (listed,) = api.get(f"/v1/invoices/{invoice.id}/payment-attempts?idempotency_key=collect-1").data
        assert listed["invoice_payment_attempt_id"] == answer.error["invoice_payment_attempt_id"]
        assert (listed["status"], listed["failure_code"]) == ("failed", answer.error["reason"])
        assert kinds_of(order).count("invoice.payment_failed") == 1
        assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")
        again = collect(api, invoice, payment_method_id=card.id)
        assert again.error["invoice_payment_attempt_id"] == answer.error["invoice_payment_attempt_id"]
        assert attempts_of(order) == ["failed"]

    def test_a_bank_that_wants_to_see_the_buyer(self, api, ann, order, invoice):
        card = stories.saved_card(ann, token=THREE_D_SECURE)

        answer = collect(api, invoice, payment_method_id=card.id)

        assert (answer.status_code, answer.error["reason"]) == (402, "authentication_required")
        assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")

    def test_a_lost_answer_is_the_same_charge(self, api, ann, order, invoice):
        card = stories.saved_card(ann)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            first = collect(api, invoice, payment_method_id=card.id)
        assert first.data["invoice_payment_attempt"]["status"] == "open"

        # Another key is another wish; but what became of the first is asked for before anybody is charged again.
        assert collect(api, invoice, key="other", payment_method_id=card.id).code == "INVOICE_NOT_COLLECTIBLE"

        attempt_id = first.data["invoice_payment_attempt"]["invoice_payment_attempt_id"]
        assert api.get(f"/v1/invoices/{invoice.id}/payment-attempts/{attempt_id}").data["status"] == "settled"
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0)

    def test_past_the_checkout_that_is_open(self, api, ann, order, invoice):
        card = stories.saved_card(ann)
        open_checkout(api, invoice)

        collect(api, invoice, payment_method_id=card.id)

        session = CheckoutSession.objects.get()
        assert (session.status, session.terminal_reason) == ("invalidated", "invoice_paid_elsewhere")
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_part_of_it_ends_the_checkout_too(self, api, ann, order):
        invoice, card = in_parts(order), stories.saved_card(ann)
        open_checkout(api, invoice)
        collect(api, invoice, payment_method_id=card.id)
        session = CheckoutSession.objects.get()
        assert (session.status, session.terminal_reason) == ("invalidated", "invoice_balance_changed")

    def test_another_customers_card(self, api, environment, order, invoice):
        bob = create_customer(data={"email": "bob@buyer.example"}, actor=stories.actor_in(environment))
        card = stories.saved_card(bob)
        with nothing_moves(order):
            assert collect(api, invoice, payment_method_id=card.id).code == "PAYMENT_SOURCE_OWNERSHIP_MISMATCH"


class TestAutopay:
    def test_it_charges_what_the_invoice_says(self, ann, order):
        card = stories.saved_card(ann)
        chosen = {"mode": "automatic", "payment_method_id": card.id}
        invoice = stories.issued_invoice(order, collection=chosen).invoice

        assert collect_due(invoice.id, number=0, at=later()) == "paid"

        assert charged(order) == [10_000]
        assert PaymentIntent.objects.get().payment_method_id == card.id
        assert collect_due(invoice.id, number=0, at=later()) == "paid"
        assert collect_due(invoice.id, number=1, at=later()) == "refused"
        assert charged(order) == [10_000]

    def test_a_decline_is_tried_again_by_its_number(self, ann, order):
        card = stories.saved_card(ann, token=DECLINES_LATER)
        chosen = {"mode": "automatic", "payment_method_id": card.id}
        invoice = stories.issued_invoice(order, collection=chosen).invoice
        assert [collect_due(invoice.id, number=number, at=later()) for number in (0, 0, 1)] == ["failed"] * 3
        assert attempts_of(order) == ["failed", "failed"]

    def test_a_part_when_its_day_has_come(self, ann, order):
        stories.saved_card(ann)
        invoice = in_parts(order)
        ann.refresh_from_db()
        assert collect_due(invoice.id, number=0, at=later()) == "refused"  # Nobody said which card.
        ann.default_payment_method_id = ann.payment_methods.get().id
        ann.save()
        assert collect_due(invoice.id, number=1, at=later(days=40)) == "paid"
        assert charged(order) == [10_000]

    def test_a_card_that_cannot_be_charged_is_refused_at_once(self, api, environment, order):
        bob = create_customer(data={"email": "bob@buyer.example"}, actor=stories.actor_in(environment))
        card = stories.saved_card(bob)
        body = {"order_id": order.id, "collection": {"mode": "automatic", "payment_method_id": card.id}}
        assert api.post("/v1/invoices", body).code == "PAYMENT_SOURCE_OWNERSHIP_MISMATCH"
