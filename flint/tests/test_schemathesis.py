"""Machine-made calls against the served document: no 5xx, and no status or shape that it does not declare."""

import pytest
import schemathesis
from django.core import signals
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flint.api.documents import document
from flint.testing import stories
from flint.testing.stories import eur, line
from flint.wsgi import application
from orders import services

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def one_connection():
    """Keep requests from closing the connection that the test's own transaction is on, as Django's client does."""
    handlers = [signals.request_started, signals.request_finished]
    for signal in handlers:
        signal.disconnect(close_old_connections)
    yield
    for signal in handlers:
        signal.connect(close_old_connections)


@pytest.fixture
def calls(environment, api, one_connection):
    """The document bound to the server, and ids that lead somewhere for half of its calls."""
    actor = stories.actor_in(environment)
    customer = services.create_customer(data={"email": "buyer@example.com"}, actor=actor)
    orders = [
        stories.open_order(environment, line(1_000), line(250, quantity=4), customer_id=customer.id),
        stories.paid_order(environment, line(1_000), line(700)),
        stories.held_order(environment),
    ]
    charged = services.add_charge(
        order_id=orders[0].id, charge={"name": "Post", "type": "shipping_fee", "amount_money": eur(500)}, actor=actor
    )
    refund = stories.refund(orders[1], amount_money=eur(100))
    real = {
        "order_id": [order.id for order in orders],
        "order_line_item_id": [row.id for order in orders for row in order.line_items.all()],
        "order_charge_id": [charged.charges.get().id],
        "payment_intent_id": [leg.id for order in orders for leg in order.payment_intents.all()],
        "order_payment_attempt_id": [attempt.id for order in orders for attempt in order.payment_attempts.all()],
        "payment_method_id": [stories.saved_card(customer).id],
        "refund_id": [refund.id],
        "payment_link_id": [stories.payment_link(environment).id],
        "customer_id": [customer.id],
        "merchant_id": [environment.merchant_id],
        "invoice_id": [
            stories.draft_invoice(stories.open_order(environment)).id,
            stories.issued_invoice(stories.open_order(environment)).invoice.id,
        ],
        "invoice_payment_term_id": [stories.payment_term(environment).id],
        "checkout_session_id": [stories.checkout(stories.open_order(environment)).session.id],
    }
    schema = schemathesis.openapi.from_dict(document())
    schema.app = application
    schema.config.update(base_url="http://testserver")

    @schema.hook("map_path_parameters")
    def lead_somewhere(context, path_parameters):
        for name in path_parameters or {}:
            if name in real and True:
                path_parameters[name] = real[name][len(str(path_parameters[name])) % len(real[name])]
        return path_parameters

    schema.secret = api.secret
    return schema


def operations() -> list[tuple[str, str]]:
    return [
        (method, path)
        for path, methods in document()["paths"].items()
        for method in ("get", "post", "patch", "delete")
        if method in methods
    ]


@pytest.mark.parametrize(("method", "path"), operations())
def test_no_call_breaks_the_document(method, path, calls):
    """A failing case prints as a curl command."""

    @given(case=calls[path][method].as_strategy())
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def call(case):
        response = case.call(headers={"Authorization": f"Bearer {calls.secret}"})
        case.validate_response(response, checks=CHECKS)

    call()
