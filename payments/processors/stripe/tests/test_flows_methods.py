"""A saved card through Flint's own verbs at Stripe: saved in the browser, paid with, forgotten."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from orders.services import create_customer
from payments.models import PaymentMethod
from payments.processors.stripe.tests.shop import drop_notices, hear, later
from payments.tests import acts

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
