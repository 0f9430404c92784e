"""
The adapter and the SDK against localstripe, a stand-in for Stripe that others wrote: what it does as Stripe does.

It knows only a part of what the adapter sends. Creating and confirming (``automatic_payment_methods``), reasons, and
lists of a stretch of time (``created``) it refuses, so payments are made here by the SDK, with the metadata that the
adapter gives them, and then everything is done to them by the adapter: showing, taking, taking a part, letting go,
giving back. It forgets keys and shows no captured amounts; what it gets wrong is not asked about.

It is under the GPL, so it is installed into an environment of its own for the run, talked to over HTTP, and nothing
here imports it. Run by ``pytest -m localstripe``; a plain run leaves it out.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from flint.merchants import services
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.stories import eur
from payments.processors import processor_of
from payments.processors.base import PaymentRequest, RefundRequest, Refused
from payments.processors.stripe import accounts

PACKAGE = "localstripe==1.15.10"

# Its own command listens on every interface and writes all it knows to a file that is shared by all of the machine.
SERVE = """
import socket
from aiohttp import web
from localstripe import resources, server
type(resources.store).dump_to_disk = lambda store: None
listening = socket.create_server(("127.0.0.1", 0))
web.run_app(server.app, sock=listening, print=lambda _: print(listening.getsockname()[1], flush=True))
"""

pytestmark = [pytest.mark.localstripe, pytest.mark.django_db]


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory) -> Iterator[str]:
    """Where a localstripe of this run's own listens."""
    folder = tmp_path_factory.mktemp("localstripe")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = Path(folder) / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    with subprocess.Popen([python, "-c", SERVE], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip()
            assert port, "localstripe did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def environment(merchant, localstripe) -> Environment:
    """A sandbox that collects through it. Connecting asks for the balance, and takes the answer's mode."""
    environment = services.create_sandbox(merchant_id=merchant.id, name="Elsewhere")
    accounts.connect(
        environment_id=environment.id,
        secret_key="sk_test_of_nobody",
        publishable_key="pk_test_of_nobody",
        webhook_secret="whsec_of_nobody",
        api_base=localstripe,
    )
    environment.refresh_from_db()
    return environment


@pytest.fixture
def adapter():
    return processor_of("stripe")


@pytest.fixture
def made(localstripe, environment):
    """Make a payment of 10 euros, or more of it, as the adapter would have."""
    client = stripe.StripeClient("sk_test_of_nobody", base_addresses={"api": localstripe})

    def make(**more: Any) -> str:
        metadata = {
            "flint_operation_id": "opr_1",
            "flint_payment_intent_id": "pay_1",
            "flint_order_id": "ord_1",
            "flint_environment_id": environment.id,
        }
        wanted = {"amount": 1_000, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
        return client.v1.payment_intents.create({**wanted, "metadata": metadata, **more}).id

    return make


def test_connecting_asks_it_and_collects_through_it(environment):
    assert environment.processor == "stripe"


def test_a_payment_is_shown_as_ours(adapter, environment, made):
    reference = made()

    state = adapter.retrieve_payment(environment_id=environment.id, reference=reference)

    assert (state.reference, state.status, state.money) == (reference, "succeeded", eur(1_000))
    assert (state.operation_id, state.payment_intent_id) == ("opr_1", "pay_1")
    assert (state.source.type, state.source.brand, state.source.last4) == ("card", "visa", "4242")
    assert state.created_at is not None


@pytest.mark.parametrize("amount", [1_000, 600])
def test_a_hold_is_taken_in_whole_or_in_part_and_only_once(adapter, environment, made, amount):
    reference = made(capture_method="manual")
    held = adapter.retrieve_payment(environment_id=environment.id, reference=reference)
    assert held.status == "requires_capture"
    taking = {"environment_id": environment.id, "reference": reference, "money": eur(amount)}

    taken = adapter.capture(**taking, operation_id="opr_2")

    assert taken.status == "succeeded"
    with pytest.raises(Refused):
        adapter.capture(**taking, operation_id="opr_3")


def test_more_than_is_held_is_refused(adapter, environment, made):
    reference = made(capture_method="manual")

    with pytest.raises(Refused):
        adapter.capture(environment_id=environment.id, reference=reference, operation_id="opr_2", money=eur(1_001))

    assert adapter.retrieve_payment(environment_id=environment.id, reference=reference).status == "requires_capture"


def test_a_hold_is_let_go(adapter, environment, made):
    reference = made(capture_method="manual")

    let_go = adapter.cancel(environment_id=environment.id, reference=reference, operation_id="opr_2")

    assert (let_go.status, let_go.captured_amount) == ("canceled", 0)
    shown = adapter.retrieve_payment(environment_id=environment.id, reference=reference)
    assert (shown.status, shown.captured_amount) == ("canceled", 0)


def test_money_goes_back_in_parts_each_known_by_our_operation(adapter, environment, made):
    reference = made()

    for operation_id, amount in (("ref_1", 400), ("ref_2", 600)):
        given = adapter.refund(
            RefundRequest(
                operation_id=operation_id,
                refund_id=f"refund of {operation_id}",
                environment_id=environment.id,
                payment_reference=reference,
                money=eur(amount),
            )
        )
        shown = adapter.retrieve_refund(environment_id=environment.id, reference=given.reference)
        assert (shown.status, shown.money, shown.operation_id) == ("succeeded", eur(amount), operation_id)
        assert shown.payment_reference == reference


def test_what_it_does_not_know_is_refused_and_takes_nothing(adapter, environment):
    """The adapter's own confirm: should it ever be understood here, whole sales can be run against it."""
    request = PaymentRequest(
        operation_id="opr_1",
        payment_intent_id="pay_1",
        environment_id=environment.id,
        order_id="ord_1",
        money=Money(1_000, "EUR"),
        capture_method="automatic",
        token="pm_card_visa",
    )

    with pytest.raises(Refused, match="automatic_payment_methods"):
        adapter.confirm(request)
