"""Payments in the admin: their part of the order page, a page each, and the work list of what processors told us."""

from payments.admin import checkout  # noqa: F401
from payments.admin.balances import BalanceTransactionAdmin, PayoutAdmin
from payments.admin.messages import MessageAdmin, MessageSettingsAdmin
from payments.admin.methods import PaymentMethodAdmin
from payments.admin.notices import ProcessorNoticeAdmin
from payments.admin.payments import PaymentIntentAdmin, order_link, source_text
from payments.admin.reconciling import ReconcileDifferenceAdmin, ReconcileRunAdmin

__all__ = [
    "BalanceTransactionAdmin",
    "MessageAdmin",
    "MessageSettingsAdmin",
    "PayoutAdmin",
    "PaymentIntentAdmin",
    "PaymentMethodAdmin",
    "ProcessorNoticeAdmin",
    "ReconcileDifferenceAdmin",
    "ReconcileRunAdmin",
    "order_link",
    "source_text",
]
