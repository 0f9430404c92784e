"""Fixtures of every room's tests: a merchant, its sandbox, and clients that call the API with its key."""

from collections.abc import Iterator

import pytest

from flint.merchants import selectors, services
from flint.merchants.models import Environment, Merchant
from flint.merchants.tests.factories import ApiKeyFactory
from flint.testing.browser import browser, chromium, shop, stripe_shop  # noqa: F401 - one browser for each process
from flint.testing.client import ApiClient
from flint.testing.processors.base import forget_all, register
from flint.testing.processors.sandbox import FaultyNetwork
from flint.testing.processors.stripe import connect


def client_of(environment: Environment, **key) -> ApiClient:
    """Return a client with a fresh key of an environment; ``scopes=[…]`` narrows it."""
    return ApiClient(ApiKeyFactory(environment=environment, **key).secret, environment)


@pytest.fixture
def merchant(db) -> Merchant:
    """A merchant, with its live environment and default sandbox."""
    return services.create_merchant(name="Corner Shop", email="owner@corner.example", business_name="Corner Shop Ltd")


def pytest_generate_tests(metafunc) -> None:
    """Run a test against each processor that it is marked with, by name, and against the sandbox without a mark."""
    mark = metafunc.definition.get_closest_marker("processors")
    if mark and "processor" in metafunc.fixturenames:
        metafunc.parametrize("processor", mark.args, indirect=True)


def pytest_collection_modifyitems(config, items) -> None:
    """Leave out the tests against processors that this run is not for."""
    wanted = config.getoption("processors").split(",")
    kept, left_out = [], []
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params
        (kept if (params or {}).get("processor", wanted[0]) in wanted else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture
def processor(request) -> Iterator[str]:
    """The name of what the merchant's sandbox collects through: ``sandbox``, ``faults`` or ``stripe``."""
    yield getattr(request, "param", "sandbox")
    forget_all()


@pytest.fixture
def environment(merchant, processor, request) -> Environment:
    """The merchant's sandbox, collecting through the processor of the test."""
    environment = selectors.default_sandbox(merchant.id)
    match processor:
        case "faults":
            register(FaultyNetwork(environment.id))
        case "stripe":
            server = request.getfixturevalue("stripe_server")
            register(connect(environment, server, server.account))
    return environment


@pytest.fixture
def api(environment) -> ApiClient:
    """A client of the merchant's sandbox that may do everything."""
    return client_of(environment)


@pytest.fixture
def other_api(db) -> ApiClient:
    """A client of somebody else, who may do everything there."""
    other = services.create_merchant(name="Rival", email="owner@rival.example")
    return client_of(selectors.default_sandbox(other.id))


from flint.testing.stripe_server.fixture import stripe_environment, stripe_server, the_stripe_server  # noqa: E402, F401
