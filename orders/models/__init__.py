"""What a customer owes a merchant: the order, its parts, its ledger."""

from orders.models.customers import Customer
from orders.models.ledger import LedgerEntry
from orders.models.manual import ManualPayment
from orders.models.orders import Order
from orders.models.parts import Charge, Discount, LineItem, TaxBreakdown
from orders.models.periods import PeriodClose
from orders.models.versions import RowVersion

__all__ = [
    "Charge",
    "Customer",
    "Discount",
    "LedgerEntry",
    "LineItem",
    "ManualPayment",
    "Order",
    "PeriodClose",
    "RowVersion",
    "TaxBreakdown",
]
