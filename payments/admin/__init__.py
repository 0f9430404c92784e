"""Payments in the admin: their part of the order page, a page each, and the work list of what processors told us."""

from payments.admin.balances import BalanceTransactionAdmin, PayoutAdmin
from payments.admin.notices import ProcessorNoticeAdmin
from payments.admin.payments import PaymentIntentAdmin, order_link, source_text

__all__ = [
    "BalanceTransactionAdmin",
    "PayoutAdmin",
    "PaymentIntentAdmin",
    "ProcessorNoticeAdmin",
    "order_link",
    "source_text",
]
