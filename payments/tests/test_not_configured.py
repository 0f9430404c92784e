"""A live environment without a processor's keys collects nothing, whichever way it is asked, and says so."""

import json

import pytest

from flint.api.documents import document
from flint.merchants import selectors
from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.client import ApiClient
from flint.testing.fixtures import client_of
from flint.testing.stories import eur, wire
from invoices.links import link_of
from orders.services import create_customer
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent, PaymentMethod, PaymentOperation
from payments.processors.stripe.models import StripeAccount

pytestmark = pytest.mark.django_db

VISA = {"token": "pm_card_visa"}
INTENT = {"amount_money": wire(eur(1_000)), "payment_options": ["card"]}
BODIES = {
    "/v1/orders/{order_id}/pay": {"action": "pay", "payment_source": VISA},
    "/v1/orders/{order_id}/payment-intents": {},
    "/v1/payment-intents": INTENT,
    "/v1/payment-methods": {"customer_id": "{customer_id}"},
    "/v1/checkout-sessions": {"order_id": "{order_id}"},
}
"""What each route that begins to collect is sent. One that goes on with what was begun has nothing to go on with."""

GOES_ON = {"/v1/payment-intents/{payment_intent_id}/confirm"}
DRAFTS = {"/v1/invoices", "/v1/invoices/{invoice_id}", "/v1/invoices/{invoice_id}/issue"}
"""That an invoice is to be collected by itself is checked when that is chosen, and once more when it is issued."""
COLLECTS = {
    "/v1/invoices/{invoice_id}/checkout-session",
    "/v1/invoices/{invoice_id}/collect",
    "/v1/me/invoices/{invoice_id}/checkout-session",
}
MADE = (PaymentAttempt, PaymentIntent, PaymentMethod, PaymentOperation, CheckoutSession)


@pytest.fixture
def live(merchant) -> Environment:
    return selectors.live_environment(merchant.id)


def test_every_route_that_declares_it_is_tried():
    declared = {
        path
        for path, methods in document()["paths"].items()
        for operation in methods.values()
        if "PROCESSOR_NOT_CONFIGURED" in json.dumps(operation)
    }
    assert declared == set(BODIES) | GOES_ON | DRAFTS | COLLECTS


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("lack", ["no processor", "no keys"])
def test_it_is_refused_and_nothing_is_made(live, path, lack):
    if lack == "no keys":
        Environment.objects.filter(id=live.id).update(processor="stripe")
    actor = stories.actor_in(live)
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=actor)
    ids = {"order_id": stories.open_order(live, customer_id=customer.id).id, "customer_id": customer.id}
    body = {
        name: value.format(**ids) if isinstance(value, str) and value.startswith("{") else value
        for name, value in BODIES[path].items()
    }

    refused = client_of(live).post(path.format(**ids), body)

    assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED")
    assert not any(model.objects.exists() for model in MADE)


def test_no_invoice_is_collected_or_to_be_collected_by_itself(live):
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=stories.actor_in(live))
    method = PaymentMethod.objects.create(
        environment=live, customer=customer, processor="stripe", reference="pm_1", status="active"
    )
    order = stories.open_order(live, customer_id=customer.id)
    api = client_of(live)
    by_itself = {"collection": {"mode": "automatic", "payment_method_id": method.id}}

    refused = api.post("/v1/invoices", {"order_id": order.id, **by_itself})
    assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED"), refused.content

    invoice = stories.issued_invoice(order).invoice
    holder = ApiClient(link_of(invoice).rpartition("/")[2], live)
    for refused in (
        api.post(f"/v1/invoices/{invoice.id}/checkout-session", {}),
        api.post(f"/v1/invoices/{invoice.id}/collect", {"payment_method_id": method.id}, key="c"),
        holder.post(f"/v1/me/invoices/{invoice.id}/checkout-session", {}),
    ):
        assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED"), refused.content
    assert not any(model.objects.exists() for model in MADE if model is not PaymentMethod)


def test_a_payment_intent_that_waits_when_the_keys_go_is_not_confirmed(stripe_environment, stripe_server):
    api = client_of(stripe_environment)
    made = api.post("/v1/payment-intents", INTENT)
    StripeAccount.objects.all().delete()
    stripe_server.calls.clear()

    refused = api.post(
        f"/v1/payment-intents/{made.data['payment_intent']['payment_intent_id']}/confirm",
        {"payment_source_token": "pm_card_visa"},
    )

    assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED"), refused.content
    assert not PaymentOperation.objects.exists() and stripe_server.calls == []
