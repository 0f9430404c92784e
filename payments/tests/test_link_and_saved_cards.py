"""A hosted page's link may be passed on: it pays the order, and reaches nothing that the customer has saved."""

import pytest

from flint.testing import stories
from flint.testing.stories import eur, wire
from orders.models import Customer
from payments.checkout.access import COOKIE
from payments.models import CheckoutSession

pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_opens_the_link_reaches_no_saved_card(api, client):
    customer_id = api.post("/v1/customers", {"email": "ada@lovelace.example"}).data["customer_id"]
    stories.saved_card(Customer.objects.get(id=customer_id))
    line = {"name": "Beans", "unit_price_money": wire(eur(1_000))}
    order_id = api.post("/v1/orders", {"line_items": [line], "customer_id": customer_id}).data["order_id"]
    body = {"order_id": order_id, "customer_collection": {"customer_id": customer_id}}
    session = api.post("/v1/checkout-sessions", body).data["checkout_session"]

    client.get(session["url"])
    secret = client.cookies[COOKIE].value
    headers = {
        "X-Checkout-Session-ID": session["checkout_session_id"],
        "X-Checkout-Session-Secret": secret,
    }

    listed = api.http.get("/v1/payment-methods", headers=headers)
    assert not listed.json().get("data"), listed.content
    assert CheckoutSession.objects.get(id=session["checkout_session_id"]).customer_id == customer_id
