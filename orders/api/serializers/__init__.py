"""What requests about orders must look like, and how orders are shown."""

from orders.api.serializers.customers import CustomerOutput, CustomerSummaryOutput, extend_customer
from orders.api.serializers.fields import AmountField, Derived, Filled
from orders.api.serializers.orders import OrderOutput, extend_order, render

__all__ = [
    "AmountField",
    "CustomerOutput",
    "CustomerSummaryOutput",
    "Derived",
    "Filled",
    "OrderOutput",
    "extend_customer",
    "extend_order",
    "render",
]
