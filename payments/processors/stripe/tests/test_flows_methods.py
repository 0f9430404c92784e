"""A saved card through Flint's own verbs at Stripe: saved in the browser, paid with, forgotten."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from orders.services import create_customer
from payments.models import PaymentMethod
from payments.processors.stripe.tests.shop import drop_notices, hear, later
from payments.tests import acts
from payments.tests.buyers import buyer_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(stripe_environment):
    """A client of the environment that collects through Stripe."""
    return client_of(stripe_environment)


@pytest.fixture
def customer(stripe_environment):
    return create_customer(data={"email": "ada@post.example"}, actor=stories.actor_in(stripe_environment))


def test_a_card_is_saved_paid_with_and_forgotten(shop, stripe_server, stripe_environment, customer):
    saved = acts.saved_card(shop, customer)
    method = PaymentMethod.objects.get(id=saved)
    assert (method.status, method.last4, method.exp_month, method.exp_year) == ("active", "4242", 8, 2034)

    order = stories.open_order(stripe_environment, customer_id=customer.id)
    body = {"action": "pay", "payment_source": {"payment_method_id": saved}}
    paid = shop.post(f"/v1/orders/{order.id}/pay", body)
    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert stripe_server.moves()[-1].sent["customer"] == method.customer_reference
    assert_books(order, paid=10_000, outstanding=0)

    with stories.settled():
        assert shop.call("DELETE", f"/v1/payment-methods/{saved}").status_code == 200
    assert stripe_server.book.methods[method.reference]["customer"] is None


@pytest.mark.parametrize("learned", ["notice", "sweep"])
def test_a_saved_card_is_learned_of_in_every_way(shop, stripe_server, customer, learned):
    saving = acts.save_card(shop, customer)
    acts.hand_in(shop, saving)

    if learned == "notice":
        hear(stripe_server)
    else:
        drop_notices(stripe_server)
        stories.sweep(at=later(hours=1))

    assert PaymentMethod.objects.get().status == "active"


class TestSavedAtCheckout:
    """A card that the buyer of a checkout pays with and wants kept."""

    @pytest.fixture
    def buyer(self, stripe_environment, customer):
        order = stories.open_order(stripe_environment)
        return buyer_of(order, customer_collection={"customer_id": customer.id})

    def pay(self, buyer, token: str):
        body = {"action": "pay", "payment_source": {"confirmation_token": token}, "save_payment_method": True}
        return buyer.post(f"/v1/orders/{buyer.session.order_id}/pay", body)

    def test_is_kept_by_the_payment_and_pays_again(self, buyer, stripe_server, stripe_environment, customer):
        paid = self.pay(buyer, "ctoken_card_visa_onSession")
        assert paid.data["payment_attempt"]["status"] == "succeeded"
        sent = stripe_server.moves()[-1].sent
        method = PaymentMethod.objects.get()
        assert (sent["setup_future_usage"], sent["customer"]) == ("on_session", method.customer_reference)
        assert (method.status, method.usage, method.last4, method.exp_year) == ("active", "on_session", "4242", 2034)
        assert method.customer == customer

        next_time = buyer_of(stories.open_order(stripe_environment), customer_collection={"customer_id": customer.id})
        source = {"payment_method_id": method.id}
        again = next_time.post(
            f"/v1/orders/{next_time.session.order_id}/pay", {"action": "pay", "payment_source": source}
        )
        assert again.data["payment_attempt"]["status"] == "succeeded"

    def test_after_3d_secure(self, buyer, stripe_server):
        asked = self.pay(buyer, "ctoken_card_threeDSecure2Required_onSession")
        assert asked.data["payment_attempt"]["status"] == "requires_action" and not PaymentMethod.objects.exists()
        stripe_server.book.authenticate(next(iter(stripe_server.book.payments)), passed=True)
        hear(stripe_server)
        assert PaymentMethod.objects.get().status == "active"

    def test_the_browser_has_to_have_asked_for_it(self, buyer, stripe_server):
        refused = self.pay(buyer, "ctoken_card_visa")
        assert (refused.status_code, refused.code) == (400, "SAVE_PAYMENT_METHOD_TOKEN_MISMATCH")
        assert stripe_server.moves() == []

    def test_an_answer_that_is_lost_saves_it_all_the_same(self, buyer, stripe_server):
        stripe_server.faults.plan(on="confirm", fault="lose_answer")
        lost = self.pay(buyer, "ctoken_card_visa_onSession")
        assert lost.data["payment_attempt"]["status"] == "processing" and not PaymentMethod.objects.exists()
        stories.sweep(at=later(hours=1))
        assert PaymentMethod.objects.get().status == "active"
        assert len(stripe_server.book.charges()) == 1

    def test_without_a_customer_at_stripe_nothing_is_charged(self, buyer, stripe_server):
        stripe_server.faults.plan(on="customer", fault="lose_answer")
        failed = self.pay(buyer, "ctoken_card_visa_onSession").data["payment_attempt"]
        assert failed["status"] == "failed" and stripe_server.book.charges() == []
        assert self.pay(buyer, "ctoken_card_visa_onSession").data["payment_attempt"]["status"] == "succeeded"
