"""Fixtures of every room's tests: a merchant, its sandbox, and clients that call the API with its key."""

import pytest

from flint.merchants import selectors, services
from flint.merchants.models import Environment, Merchant
from flint.merchants.tests.factories import ApiKeyFactory
from flint.testing.client import ApiClient


def client_of(environment: Environment, **key) -> ApiClient:
    """Return a client with a fresh key of an environment; ``scopes=[…]`` narrows it."""
    return ApiClient(ApiKeyFactory(environment=environment, **key).secret, environment)


@pytest.fixture
def merchant(db) -> Merchant:
    """A merchant, with its live environment and default sandbox."""
    return services.create_merchant(name="Corner Shop", email="owner@corner.example", business_name="Corner Shop Ltd")


@pytest.fixture
def environment(merchant) -> Environment:
    """The merchant's sandbox."""
    return selectors.default_sandbox(merchant.id)


@pytest.fixture
def api(environment) -> ApiClient:
    """A client of the merchant's sandbox that may do everything."""
    return client_of(environment)


@pytest.fixture
def other_api(db) -> ApiClient:
    """A client of somebody else, who may do everything there."""
    other = services.create_merchant(name="Rival", email="owner@rival.example")
    return client_of(selectors.default_sandbox(other.id))


from flint.testing.stripe_server.fixture import stripe_environment, stripe_server  # noqa: E402, F401
