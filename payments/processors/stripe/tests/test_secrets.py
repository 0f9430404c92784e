"""No key, signing secret or client secret in any log line, exception, event, notice or page."""

import io
import logging
import traceback

import pytest
import structlog
from django.apps import apps

from flint import logs
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from payments.processors.base import ProcessorError
from payments.processors.stripe.tests.calls import hold, pay, processor
from payments.processors.stripe.tests.shop import hear, later
from payments.tests import acts

pytestmark = pytest.mark.django_db

KEPT_APART = {"stripeaccount"}
"""Sealed keys: not text that a search could find, and tested beside their commands."""


@pytest.fixture
def everything_logged():
    """Whatever is logged at any level, as production writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=logs.SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def secrets_of(server) -> list[str]:
    clients = [payment.intent["client_secret"] for payment in server.book.payments.values()]
    return [server.secret_key, WEBHOOK_SECRET, *clients]


def test_a_whole_day_of_trade_and_trouble_writes_no_secret_anywhere(
    stripe_server, stripe_environment, everything_logged
):
    shop = client_of(stripe_environment)
    order, other, third = (stories.open_order(stripe_environment) for _ in range(3))
    acts.pay(shop, order, "pm_card_chargeDeclined")
    acts.pay(shop, order)
    stories.refund(order)
    waiting = acts.pay(shop, other, "pm_card_threeDSecure2Required")
    for fault in ({"fault": "error", "status": 401}, {"fault": "error", "status": 500}, {"fault": "lose_answer"}):
        stripe_server.faults.plan(on="any", **fault)
        acts.resume(shop, other, acts.attempt_of(waiting))
    stripe_server.faults.plan(on="retrieve", fault="error", status=500)
    hear(stripe_server)
    for fault in ("lose_answer", "drop", "garbage"):
        stripe_server.faults.plan(on="confirm", fault=fault)
        acts.pay(shop, third)
        stories.sweep(at=later(minutes=11))
    acts.cancel_attempt(shop, other, acts.attempt_of(waiting))

    written = everything_logged.getvalue()
    assert "stripe.error" in written
    stored = [
        f"{model.__name__}: {row}"
        for model in apps.get_models()
        if model._meta.model_name not in KEPT_APART
        for row in model.objects.values()
    ]
    for secret in secrets_of(stripe_server):
        assert secret not in written
        assert [row for row in stored if secret in row] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "error", "status": 401},
        {"fault": "error", "status": 402, "code": "card_declined"},
        {"fault": "error", "status": 400, "code": "parameter_unknown"},
        {"fault": "error", "status": 500},
        {"fault": "lose_answer"},
        {"fault": "garbage"},
    ],
)
def test_no_exception_shows_a_secret(stripe_server, stripe_environment, fault):
    held = hold(stripe_environment)
    message = f"for {stripe_server.secret_key} and {secrets_of(stripe_server)[-1]}"
    stripe_server.faults.plan(on="confirm", message=message, **fault)

    with pytest.raises(ProcessorError) as error:
        pay(stripe_environment, "pm_card_threeDSecure2Required")

    shown = f"{error.value} {error.value!r} {error.value.args} " + "".join(traceback.format_exception(error.value))
    for secret in secrets_of(stripe_server):
        assert secret not in shown
    assert held.action is None
    assert stripe_server.secret_key not in repr(vars(processor))
