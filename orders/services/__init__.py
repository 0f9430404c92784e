"""The verbs of orders. Each locks the order, checks, changes, posts the ledger, records the event, commits."""

from orders.services.charges import add_charge, remove_charge, update_charge
from orders.services.close_order import close_order
from orders.services.create_order import create_order
from orders.services.customers import create_customer, update_customer
from orders.services.discounts import apply_discount, remove_discounts, reprice_discounts
from orders.services.line_items import add_line_items, remove_line_item, update_line_item
from orders.services.notes import add_note
from orders.services.update_order import update_order

__all__ = [
    "add_charge",
    "add_line_items",
    "add_note",
    "apply_discount",
    "close_order",
    "create_customer",
    "create_order",
    "remove_charge",
    "remove_discounts",
    "remove_line_item",
    "reprice_discounts",
    "update_charge",
    "update_customer",
    "update_line_item",
    "update_order",
]
