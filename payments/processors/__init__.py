"""The processors, by name. The only door to them: nothing else imports an adapter."""

from payments.processors.base import Processor


def processor_of(name: str) -> Processor:
    """Return the adapter of that name, watched. :raises LookupError: if there is none."""
    from payments.processors.observed import Observed

    return Observed(_adapter(name))


def _adapter(name: str) -> Processor:
    if name == "sandbox":
        from payments.processors.sandbox.adapter import SandboxProcessor

        return SandboxProcessor()
    if name == "stripe":
        from payments.processors.stripe.adapter import StripeProcessor

        return StripeProcessor()
    raise LookupError(f"no processor named {name!r}")
