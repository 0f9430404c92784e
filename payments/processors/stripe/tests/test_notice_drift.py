"""Drift that notices of Stripe could cause: another event than the usual one, and reads that lag behind."""

import pytest
from django.db import OperationalError, connections

from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from flint.testing.stripe_server.webhooks import body_of, sign
from orders.models import Order
from payments import inbound
from payments.models import ProcessorNotice
from payments.processors.stripe.tests.shop import assert_same_books, drop_notices, hear, later
from payments.tests import acts

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid_in_silence(stripe_server, stripe_environment) -> Order:
    """An order that is paid at Stripe, with an answer that got lost; nobody has told Flint."""
    order = stories.open_order(stripe_environment, total=1_400)
    stripe_server.faults.plan(on="confirm", fault="lose_answer")
    acts.pay(client_of(stripe_environment), order)
    return order


def tell(server, environment, type: str) -> None:
    """Have Stripe post its event of one type, and none of the others."""
    (event,) = [each for each in server.account.webhooks.events if each["type"] == type]
    body, at = body_of(event), later()
    headers = {"Stripe-Signature": sign(body, [WEBHOOK_SECRET], int(at.timestamp()))}
    with stories.settled():
        inbound.receive(processor_name="stripe", environment_id=environment.id, headers=headers, body=body, at=at)


@pytest.mark.parametrize("types", [["charge.succeeded"], ["payment_intent.succeeded"], None])
def test_d071_either_event_of_a_payment_settles_it_and_both_settle_it_once(
    stripe_server, stripe_environment, paid_in_silence, types
):
    for type in types or ["charge.succeeded", "payment_intent.succeeded"]:
        tell(stripe_server, stripe_environment, type)
    drop_notices(stripe_server)

    assert_same_books(stripe_server, paid_in_silence, paid=1_400, balance=0, payment_status="paid")
    assert [entry.kind for entry in paid_in_silence.entries.all()].count("capture") == 1
    assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"handled"}


@pytest.fixture
def broken_replica():
    """A read replica that is configured and cannot be read: whatever asks it fails."""
    settings = {**connections["default"].settings_dict, "HOST": "127.0.0.1", "PORT": 1, "TEST": {}}
    kept = connections.settings["reports"]
    del connections["reports"]
    connections.settings["reports"] = settings
    yield
    connections["reports"].close()
    del connections["reports"]
    connections.settings["reports"] = kept


def test_d067_no_decision_about_money_reads_a_replica(stripe_server, stripe_environment, broken_replica):
    shop = client_of(stripe_environment)
    order = stories.open_order(stripe_environment, total=2_000)
    waiting = acts.pay(shop, order, "pm_card_threeDSecure2Required")
    stripe_server.authenticate(acts.reference_of(order), passed=True)
    hear(stripe_server)
    acts.resume(shop, order, acts.attempt_of(waiting))
    stories.refund(order)
    hear(stripe_server)
    stories.sweep(at=later(minutes=2))

    assert_same_books(stripe_server, order, paid=2_000, refunded=2_000, credit=2_000, balance=0)
    with pytest.raises((OperationalError, AssertionError), match="reports|refused"):
        # The trap would have caught it: whatever reads there fails.
        Order.objects.using("reports").count()
