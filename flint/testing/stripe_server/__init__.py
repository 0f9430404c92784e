"""
A stand-in for Stripe, for tests: the part of Stripe's API that Flint uses, spoken over real HTTP on this machine.

It is strict where Stripe is: a parameter it does not know is refused, a key remembers what it was used for, no refund
exceeds its charge. It fails on cue (:mod:`.faults`) and its clock is moved by hand. It keeps everything in memory and
knows nothing of Flint. Where Stripe's behaviour is not documented for certain, a comment says so.

    with StripeServer() as server:
        stripe.StripeClient(server.secret_key, base_addresses={"api": server.url})

``python -m flint.testing.stripe_server`` runs it alone.
"""

from flint.testing.stripe_server.server import StripeServer

__all__ = ["StripeServer"]
