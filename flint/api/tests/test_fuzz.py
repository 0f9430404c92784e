"""Whatever anybody sends to any operation: no 500, no status and no shape that the served document does not declare."""

from contextlib import contextmanager

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flint.wsgi import application

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
SERVED = schemathesis.openapi.from_wsgi("/v1/openapi.json", application)
OPERATIONS = [operation.ok() for operation in SERVED.get_all_operations()]


@pytest.fixture(autouse=True)
def product(settings):
    """Serve the whole product, not the throw-away API of the other tests here."""
    settings.ROOT_URLCONF = "flint.urls"


@contextmanager
def connection_kept():
    """Let requests leave the database connection open, and with it the test's transaction, as Django's client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def ids(api):
    """An order that is there, with a line and a customer, by the names of path parameters."""
    customer = api.post("/v1/customers", {"email": "ada@example.com"}).data["customer_id"]
    line = {"name": "Hat", "quantity": 2, "unit_price_money": {"amount": 4500, "currency": "EUR"}}
    order = api.post("/v1/orders", {"line_items": [line], "customer_id": customer}).data
    return {
        "customer_id": customer,
        "order_id": order["order_id"],
        "order_line_item_id": order["line_items"][0]["order_line_item_id"],
    }


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_declared(operation, mode, api, ids):
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20 if mode is GenerationMode.POSITIVE else 10,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        if mode is GenerationMode.POSITIVE:
            # Made-up ids would never get past a 404.
            case.path_parameters.update({name: ids[name] for name in case.path_parameters if name in ids})
        response = case.call(headers={"Authorization": f"Bearer {api.secret}"})
        case.validate_response(response, checks=CHECKS)

    with connection_kept():
        check()
