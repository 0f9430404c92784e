"""Fixtures: the server, and a sandbox environment that collects through it."""

from collections.abc import Iterator

import pytest

from flint.merchants import services
from flint.merchants.models import Environment
from flint.testing.stripe_server.server import StripeServer
from payments.processors.stripe import accounts

WEBHOOK_SECRET = "whsec_of_the_stand_in"


@pytest.fixture
def stripe_server() -> Iterator[StripeServer]:
    """A stand-in for Stripe that nobody has used before."""
    with StripeServer() as server:
        yield server


@pytest.fixture
def stripe_environment(merchant, stripe_server) -> Environment:
    """A sandbox of the merchant, connected to the stand-in, whose events wait for ``stripe_server.deliver``."""
    environment = services.create_sandbox(merchant_id=merchant.id, name="Stripe")
    accounts.connect(
        environment_id=environment.id,
        secret_key=stripe_server.secret_key,
        publishable_key=stripe_server.publishable_key,
        webhook_secret=WEBHOOK_SECRET,
        api_base=stripe_server.url,
    )
    stripe_server.add_endpoint(f"http://testserver/notices/stripe/{environment.id}", WEBHOOK_SECRET)
    stripe_server.calls.clear()
    environment.refresh_from_db()
    return environment
