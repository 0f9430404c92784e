"""Collecting: what is to be collected, each try to do so, each call to a processor, and what processors tell us."""

from payments.models.attempts import PaymentAttempt
from payments.models.intents import PaymentIntent
from payments.models.notices import ProcessorNotice
from payments.models.operations import PaymentOperation

__all__ = ["PaymentAttempt", "PaymentIntent", "PaymentOperation", "ProcessorNotice"]
