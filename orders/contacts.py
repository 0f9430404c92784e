"""Where an order's buyer is written to."""

from orders.models import Customer, Order


def address_on_file(order: Order) -> str:
    """Return where an order's buyer is written to: the contact of its payment, else its customer's; empty if none."""
    if order.contact_email or not order.customer_id:
        return order.contact_email
    known = Customer.objects.filter(id=order.customer_id).order_by("id")
    return known.values_list("email", flat=True).first() or ""
