"""Payments in the admin: their part of the order page, a page each, and the work list of what processors told us."""

from payments.admin import checkout, invoices, messages  # noqa: F401
from payments.admin.balances import BalanceTransactionAdmin, PayoutAdmin
from payments.admin.links import PaymentLinkAdmin
from payments.admin.methods import PaymentMethodAdmin
from payments.admin.notices import ProcessorNoticeAdmin
from payments.admin.payments import PaymentIntentAdmin, order_link, source_text
from payments.admin.reconciling import ReconcileDifferenceAdmin, ReconcileRunAdmin
from payments.admin.sessions import CheckoutSessionAdmin

__all__ = [
    "BalanceTransactionAdmin",
    "CheckoutSessionAdmin",
    "PayoutAdmin",
    "PaymentIntentAdmin",
    "PaymentLinkAdmin",
    "PaymentMethodAdmin",
    "ProcessorNoticeAdmin",
    "ReconcileDifferenceAdmin",
    "ReconcileRunAdmin",
    "order_link",
    "source_text",
]
