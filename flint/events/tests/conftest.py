from collections.abc import Iterator

import pytest

from flint.testing.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A merchant's server that this install may call."""
    with receiving() as running:
        yield running
