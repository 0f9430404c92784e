"""Orders in the admin: the list, the page of one order, customers; and the places where other rooms add theirs."""

from orders.admin import figures, messages  # noqa: F401
from orders.admin.customers import CustomerAdmin
from orders.admin.entries import LedgerEntryAdmin
from orders.admin.order import OrderAdmin
from orders.admin.periods import PeriodCloseAdmin

__all__ = ["CustomerAdmin", "LedgerEntryAdmin", "OrderAdmin", "PeriodCloseAdmin"]
