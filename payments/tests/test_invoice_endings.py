"""How the checkout of an invoice ends by what becomes of the invoice, and money that comes after that."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import deliver_notices, eur, line, wire
from invoices.models import Invoice
from orders.models import Order
from orders.models.orders import OVER_COLLECTED
from payments.models import CheckoutSession
from payments.tests.acts import (
    THREE_D_SECURE,
    attempt_of,
    authenticate,
    cancel_attempt,
    charged,
    goes_through_after_all,
    going_wrong,
    kinds_of,
    later,
    pay,
    resume,
)
from payments.tests.test_invoice_checkout import buyer_in, in_parts, open_checkout, refused


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


@pytest.fixture
def invoice(order) -> Invoice:
    return stories.issued_invoice(order).invoice


def act(api, invoice: Invoice, verb: str, **body):
    answer = api.post(f"/v1/invoices/{invoice.id}/{verb}", body or None)
    assert answer.status_code in (200, 201), answer.content
    return answer


def ending() -> tuple[str, str]:
    session = CheckoutSession.objects.get()
    return session.status, session.terminal_reason


def is_on_the_surplus_list(order: Order) -> bool:
    return Order.objects.filter(OVER_COLLECTED, id=order.id).exists()


class TestEndings:
    def test_a_void(self, api, environment, invoice):
        opened = open_checkout(api, invoice)
        act(api, invoice, "void")
        assert ending() == ("invalidated", "invoice_voided")
        buyer = buyer_in(opened, environment)
        assert pay(buyer, invoice.order).code == "CHECKOUT_SESSION_NOT_OPEN"

    def test_a_write_off(self, api, invoice):
        open_checkout(api, invoice)
        act(api, invoice, "mark-uncollectible")
        assert ending() == ("invalidated", "invoice_uncollectible")

    def test_paid_off_by_hand(self, api, order, invoice):
        open_checkout(api, invoice)
        act(api, invoice, "manual-payments", amount_money=wire(eur(10_000)))
        assert ending() == ("invalidated", "invoice_paid_elsewhere")
        assert_books(order, paid=10_000, outstanding=0)

    def test_partly_paid_by_hand(self, api, order, invoice):
        open_checkout(api, invoice)
        act(api, invoice, "manual-payments", amount_money=wire(eur(4_000)))
        assert ending() == ("invalidated", "invoice_balance_changed")
        again = open_checkout(api, invoice)
        assert again["checkout_session"]["payment_collection"]["stripe"]["elements"]["amount_money"] == wire(eur(6_000))

    @pytest.mark.parametrize(("verb", "reason"), [("void", "invoice_voided"), ("mark-uncollectible", "abandoned")])
    def test_what_the_buyer_prepared_is_canceled(self, api, environment, order, invoice, verb, reason):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        made = buyer.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(4_000))})
        act(api, invoice, verb)
        leg = api.get(f"/v1/payment-intents/{made.data['payment_intent']['payment_intent_id']}").data
        assert (leg["status"], leg["cancellation_reason"]) == ("canceled", reason)

    def test_and_keeps_nobody_from_a_checkout_on_another_surface(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        buyer.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(4_000))})
        opened = open_checkout(api, invoice, surface="embedded")
        pay(buyer_in(opened, environment), order)
        assert_books(order, paid=10_000, outstanding=0)

    def test_its_time(self, api, invoice):
        session_id = open_checkout(api, invoice)["checkout_session"]["checkout_session_id"]
        session = CheckoutSession.objects.get(id=session_id)
        session.expires_at = session.created_at
        session.save()
        again = open_checkout(api, invoice)
        assert not again["reused_existing"]
        session.refresh_from_db()
        assert (session.status, session.terminal_reason) == ("expired", "expired")


class TestWhileItIsBeingPaid:
    def test_nothing_else_is_done_with_it(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        asked = pay(buyer, order, THREE_D_SECURE)

        for verb, body in (
            ("void", {}),
            ("mark-uncollectible", {}),
            ("manual-payments", {"amount_money": wire(eur(10_000))}),
        ):
            answer = api.post(f"/v1/invoices/{invoice.id}/{verb}", body)
            assert (answer.status_code, answer.code) == (409, "INVOICE_PAYMENT_RESOLVING"), verb
            assert answer.error["invoice_payment_attempt_id"] == attempt_of(asked)
        authenticate(api, asked)
        resume(buyer, order, attempt_of(asked))
        assert_books(order, paid=10_000, outstanding=0)

    def test_the_merchant_stops_it(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        asked = pay(buyer, order, THREE_D_SECURE)
        path = f"/v1/invoices/{invoice.id}/payment-attempts/{attempt_of(asked)}"

        canceled = api.post(f"{path}/cancel")

        assert canceled.data["status"] == "canceled"
        assert canceled.data["cancellation_requested_at"] and canceled.data["canceled_at"]
        assert kinds_of(order).count("invoice.payment_attempt_canceled") == 1
        act(api, invoice, "void")
        assert_books(order, paid=0, outstanding=10_000, is_under_invoice=False)

    def test_it_is_another_invoices(self, api, environment, order, invoice):
        other = stories.issued_invoice(stories.open_order(environment)).invoice
        asked = pay(buyer_in(open_checkout(api, invoice), environment), order, THREE_D_SECURE)
        path = f"/v1/invoices/{other.id}/payment-attempts/{attempt_of(asked)}"
        assert api.get(path).status_code == api.post(f"{path}/cancel").status_code == 404
        cancel_attempt(api, order, attempt_of(asked))


def test_d031_what_the_sweep_learns_settles_the_invoice_as_well(environment):
    order = stories.open_order(environment, line(6_400))
    invoice = stories.issued_invoice(order).invoice
    with going_wrong(order, on="confirm", fault="lose_answer"):
        stories.pay(order, invoice_id=invoice.id)
    assert_books(order, processor=False, paid=0, outstanding=6_400)

    for _ in range(2):
        stories.sweep(at=later(minutes=5))

    assert charged(order) == [6_400]
    assert_books(order, paid=6_400, outstanding=0, active_attempt_id="")
    invoice.refresh_from_db()
    assert (invoice.status, kinds_of(order).count("invoice.paid")) == ("paid", 1)


class TestLateMoney:
    def test_after_a_void_it_is_the_orders(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        pay(buyer, order, "pm_card_chargeDeclined")
        act(api, invoice, "void")

        goes_through_after_all(order)
        deliver_notices(environment)

        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0)
        invoice.refresh_from_db()
        assert invoice.status == "void"

    def test_after_a_write_off_it_is_a_surplus(self, api, environment, order, invoice):
        buyer = buyer_in(open_checkout(api, invoice), environment)
        pay(buyer, order, "pm_card_chargeDeclined")
        act(api, invoice, "mark-uncollectible")

        goes_through_after_all(order)
        deliver_notices(environment)

        assert_books(order, paid=10_000, credit=10_000, balance=-10_000, outstanding=0)
        assert is_on_the_surplus_list(order)
        invoice.refresh_from_db()
        assert (invoice.status, invoice.written_off_amount) == ("uncollectible", 10_000)

    def test_paid_by_hand_and_then_by_the_card_that_was_declined(self, api, environment, order):
        invoice = in_parts(order)
        buyer = buyer_in(open_checkout(api, invoice), environment)
        pay(buyer, order, "pm_card_chargeDeclined")
        act(api, invoice, "manual-payments", amount_money=wire(eur(10_000)))

        goes_through_after_all(order)
        deliver_notices(environment)

        assert_books(order, paid=13_000, outstanding=0, balance=-3_000)
        assert is_on_the_surplus_list(order)


class TestTheLink:
    def test_a_new_one_shuts_whoever_came_by_the_old_one_out(self, api, environment, order, invoice):
        opened = open_checkout(api, invoice)
        buyer = buyer_in(opened, environment)
        before = invoice.version
        invoice.refresh_from_db()

        stale = api.post(f"/v1/invoices/{invoice.id}/regenerate-public-link", {"expected_version": before + 7})
        assert stale.code == "VERSION_CONFLICT"
        answer = act(api, invoice, "regenerate-public-link")

        assert answer.data["public_url"] == answer.data["invoice"]["public_url"] != opened["invoice"]["public_url"]
        assert buyer.get(f"/v1/checkout-sessions/{buyer.session_id}").code == "INVALID_CHECKOUT_SESSION"
        assert buyer.session.status == "open"
        again = open_checkout(api, invoice)
        assert not again["reused_existing"]
        assert buyer.session.terminal_reason == "superseded"
        pay(buyer_in(again, environment), order)
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_payment_under_way_is_booked_all_the_same(self, api, environment, order, invoice):
        asked = pay(buyer_in(open_checkout(api, invoice), environment), order, THREE_D_SECURE)
        act(api, invoice, "regenerate-public-link")
        assert refused(api, invoice).code == "INVOICE_PAYMENT_RESOLVING"
        authenticate(api, asked)
        stories.sweep(at=later(minutes=5))
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_draft_has_none(self, api, order):
        draft = stories.draft_invoice(order)
        answer = api.post(f"/v1/invoices/{draft.id}/regenerate-public-link")
        assert answer.code == "INVOICE_NOT_ISSUED"
