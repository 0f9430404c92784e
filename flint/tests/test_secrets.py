"""After a full run: no card number, key, signing secret or client secret in any table, line, event or page."""

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.urls import reverse

from flint.admin import ReadOnlyAdmin
from flint.events.models import Event
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.secrets import columns_of_text, everything_logged, everything_stored, secrets_in
from flint.testing.staff import signed_in
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from orders.services import create_customer
from payments.models import PaymentOperation
from payments.processors.sandbox.tokens import CARD_NUMBERS
from payments.processors.stripe.tests.shop import hear, later, reference_of
from payments.tests import acts
from refunds.models import Dispute

pytestmark = pytest.mark.django_db

# The simulated network keeps its own secrets, as a real one does out of sight; its tables are not Flint's.
NETWORK = re.compile(r"public\.sandbox_")


class Shop:
    """A client that remembers each secret it was ever given."""

    def __init__(self, client):
        self.client, self.given = client, set()

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if name not in ("get", "post", "patch", "delete", "call"):
            return found

        def call(*args, **kwargs):
            answer = found(*args, **kwargs)
            self.given |= secrets_in(answer.data or {})
            return answer

        return call


def held_against(secrets: set[str]) -> None:
    """Assert that no table holds any of these, nor a card number."""
    assert len(secrets) >= 2 and all(len(secret) > 8 for secret in secrets)
    for place, text in everything_stored().items():
        if NETWORK.match(place[0]):
            continue
        assert [secret for secret in secrets if secret in text] == [], place
        assert [number for number in CARD_NUMBERS if number in text] == [], place


def pages(browser) -> dict[str, str]:
    """Every list and every row's page of the admin."""
    found = {}
    for model, shown in admin.site._registry.items():
        if not isinstance(shown, ReadOnlyAdmin):
            continue
        stem = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        where = [reverse(f"{stem}_changelist")]
        where += [reverse(f"{stem}_change", args=[row]) for row in model.objects.values_list("pk", flat=True)[:20]]
        for each in where:
            found[each] = browser.get(each).content.decode()
    return found


def test_a_full_run_at_stripe_leaves_no_secret_anywhere(stripe_server, stripe_environment, merchant):
    shop = Shop(client_of(stripe_environment))
    owner = signed_in(merchant, "owner")
    with everything_logged() as written:
        customer = create_customer(data={"email": "ada@buyer.example"}, actor=stories.actor_in(stripe_environment))
        order = stories.open_order(stripe_environment, customer_id=customer.id)
        waiting = acts.pay(shop, order, "pm_card_threeDSecure2Required", key="the-buyers-step")
        known = {stripe_server.secret_key, WEBHOOK_SECRET, shop.client.secret}

        # While the buyer's step is pending, it is stored, and nobody reads it in the database.
        assert acts.secret_of(waiting) in shop.given
        assert PaymentOperation.objects.get(payment_intent__order=order).buyer_action.client_secret in shop.given
        held_against(known | shop.given)
        pending = pages(owner)

        stripe_server.authenticate(reference_of(order), passed=True)
        acts.resume(shop, order, acts.attempt_of(waiting))
        hear(stripe_server)
        repeat = acts.pay(shop, order, "pm_card_threeDSecure2Required", key="the-buyers-step")
        assert repeat.status_code == 200

        held = stories.open_order(stripe_environment)
        leg, attempt = acts.hold(shop, held)
        acts.capture(shop, held, leg, attempt, 4_000)
        stories.refund(order, amount_money=stories.eur(2_500))

        saving = acts.save_card(shop, customer)
        (setup,) = stripe_server.book.setups
        stripe_server.confirm_setup(setup)
        hear(stripe_server)
        method = saving.data["payment_method"]["payment_method_id"]
        assert shop.get(f"/v1/payment-methods/{method}").data["status"] == "active"

        session = shop.post("/v1/checkout-sessions", {"order_id": stories.open_order(stripe_environment).id})
        assert session.status_code == 201

        (charge,) = [each for each in stripe_server.book.charges() if each["amount_captured"] == 10_000]
        stripe_server.book.open_dispute(charge["payment_intent"])
        hear(stripe_server)
        assert Dispute.objects.filter(order=order).exists()

        for fault in ({"fault": "error", "status": 401}, {"fault": "garbage"}, {"fault": "lose_answer"}):
            stripe_server.faults.plan(on="confirm", **fault)
            acts.pay(shop, stories.open_order(stripe_environment))
        stories.sweep(at=later(minutes=11))
        shown = pages(owner)

    secrets = known | shop.given
    secrets |= {payment.intent["client_secret"] for payment in stripe_server.book.payments.values()}
    secrets |= {each["client_secret"] for each in stripe_server.book.setups.values()}
    assert len(secrets) >= 7
    held_against(secrets)
    lines = written.getvalue()
    assert "processor.call" in lines and "event.committed" in lines and "stripe.error" in lines
    assert [line for line in lines.splitlines() if "ada@buyer.example" in line] == []
    for secret in secrets:
        assert secret not in lines
        assert secret not in repr(list(Event.objects.values()))
        for where, page in {**pending, **{f"{name} ": page for name, page in shown.items()}}.items():
            assert secret not in page, where
    assert len(shown) > 25


def test_a_full_run_with_the_sandbox_leaves_no_secret_of_the_buyers_outside_the_network(api, environment):
    shop = Shop(api)
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=stories.actor_in(environment))
    order = stories.open_order(environment)
    with everything_logged() as written:
        waiting = acts.pay(shop, order, acts.THREE_D_SECURE)
        held_against(shop.given | {shop.client.secret})
        acts.authenticate(shop, waiting)
        acts.resume(shop, order, acts.attempt_of(waiting))
        acts.saved_card(shop, customer)
        stories.deliver_notices(environment)
    held_against(shop.given | {shop.client.secret})
    for secret in shop.given | {shop.client.secret}:
        assert secret not in written.getvalue()


def test_the_search_would_find_a_secret_in_any_table(environment):
    """The search itself: it sees the very bytes, in texts, in JSON and in lists."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE merchants_merchant SET name = 'sk_test_planted_in_a_text'")
        cursor.execute("CREATE TABLE planted (kept jsonb, listed text[])")
        cursor.execute("""INSERT INTO planted VALUES ('{"deep": ["pi_1_secret_planted"]}', '{whsec_planted}')""")
    found = everything_stored()
    assert "sk_test_planted" in found["public.merchants_merchant", "name"]
    assert "pi_1_secret_planted" in found["public.planted", "kept"]
    assert "whsec_planted" in found["public.planted", "listed"]
    tables = {(schema, table) for schema, table, _ in columns_of_text()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT schemaname || tablename) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone()[0] - len([each for each in tables if each[0] == "public"]) <= 8
