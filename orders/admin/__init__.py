"""Orders in the admin: the list, the page of one order, customers; and the places where other rooms add theirs."""

from orders.admin import messages  # noqa: F401
from orders.admin.customers import CustomerAdmin
from orders.admin.order import OrderAdmin
from orders.admin.periods import PeriodCloseAdmin

__all__ = ["CustomerAdmin", "OrderAdmin", "PeriodCloseAdmin"]
