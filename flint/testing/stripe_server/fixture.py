"""Fixtures: the server, and a sandbox environment that collects through it."""

from collections.abc import Iterator

import pytest

from flint.merchants import services
from flint.merchants.models import Environment
from flint.testing.processors.base import register
from flint.testing.processors.stripe import WEBHOOK_SECRET, connect
from flint.testing.stripe_server.network import SLOW_RAIL
from flint.testing.stripe_server.server import StripeServer

__all__ = ["WEBHOOK_SECRET", "stripe_environment", "stripe_server", "the_stripe_server"]


@pytest.fixture(scope="session")
def the_stripe_server() -> Iterator[StripeServer]:
    """The one stand-in for Stripe of this process, which listens until its end."""
    with StripeServer() as server:
        yield server


@pytest.fixture
def stripe_server(the_stripe_server) -> Iterator[StripeServer]:
    """A stand-in for Stripe that knows of nothing that was before."""
    yield the_stripe_server
    the_stripe_server.faults.clear()
    the_stripe_server.reset()


@pytest.fixture
def stripe_environment(merchant, stripe_server) -> Environment:
    """A sandbox of the merchant, connected to the stand-in, whose events wait for ``stripe_server.deliver``."""
    environment = services.create_sandbox(merchant_id=merchant.id, name="Stripe")
    register(connect(environment, stripe_server, stripe_server.account))
    stripe_server.book.slow_rail = SLOW_RAIL
    return environment
