"""
The processors that tests run against, and the other side of each: what happens there behind Flint's back.

A test that moves money is written once and runs against each processor that it is marked with:

    pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")

- ``sandbox``: Flint's own simulated network.
- ``faults``: the same with a standing plan of misfortune. Every answer is lost, what can be out of reach is so at
  first, every notice comes twice, late, in the wrong order or never. After :meth:`Network.settle` the end is the same.
- ``stripe``: the adapter and the real SDK, over real HTTP, against the stand-in of :mod:`flint.testing.stripe_server`.

A test without the mark runs against the sandbox alone. Verbs find their network by the environment: ``network_of``.
"""

from flint.testing.processors.base import Network, network_of, settle_all, settled_in_trouble

__all__ = ["Network", "network_of", "settle_all", "settled_in_trouble"]
