"""The tests of the conventions run against the throw-away API of :mod:`flint.api.tests.urls`."""

import pytest

from flint.api.tests import urls


@pytest.fixture(autouse=True)
def conventions(request, settings):
    """Serve the throw-away API, and leave no hook of a test behind."""
    settings.ROOT_URLCONF = "flint.api.tests.urls"
    yield
    urls.meanwhile[0] = urls.nothing_more
    urls.ExternalShops.commands.clear()
    urls.Failures.raises = None
