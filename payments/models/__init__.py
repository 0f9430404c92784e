"""Collecting: what to collect and with what, each try, each call to a processor, and what processors tell us."""

from payments.models.attempts import PaymentAttempt
from payments.models.balances import BalanceSync, BalanceTransaction, Payout
from payments.models.intents import PaymentIntent
from payments.models.links import PayLink, PaymentLink, PaymentLinkOrder
from payments.models.methods import PaymentMethod, PaymentMethodSetup
from payments.models.notices import ProcessorNotice
from payments.models.operations import PaymentOperation
from payments.models.reconciling import ReconcileDifference, ReconcileRun, ReconcileSighting
from payments.models.sessions import CheckoutCredential, CheckoutSession
from payments.models.verifications import CustomerVerification

__all__ = [
    "BalanceSync",
    "BalanceTransaction",
    "CheckoutCredential",
    "CheckoutSession",
    "CustomerVerification",
    "PayLink",
    "PaymentAttempt",
    "PaymentIntent",
    "PaymentLink",
    "PaymentLinkOrder",
    "PaymentMethod",
    "PaymentMethodSetup",
    "PaymentOperation",
    "Payout",
    "ProcessorNotice",
    "ReconcileDifference",
    "ReconcileRun",
    "ReconcileSighting",
]
