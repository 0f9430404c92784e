"""How orders and customers are found from any page of the admin."""

from collections.abc import Iterable

from django.db.models.functions import Lower
from django.http import HttpRequest

from flint.admin import badges
from flint.finding import MOST, Hit, finds, page_of
from flint.merchants.staff import Right
from orders.admin.searching import matching
from orders.models import Customer, Order


@finds("Orders", Right.READ_SALES, more="orders_order")
def orders(term: str, environment_ids: list[str], request: HttpRequest) -> Iterable[Hit]:
    found = matching(term, environment_ids)
    if found is None:
        return
    for order in Order.objects.filter(id__in=found).select_related("customer").order_by("-id")[: MOST + 1]:
        who = str(order.customer) if order.customer else order.contact_email
        detail = " · ".join(filter(None, [order.money(order.total_amount).text(), who, f"{order.created_at:%d %b %Y}"]))
        yield Hit(order.order_number, page_of("orders_order", order.id), detail, badges(order.payment_status))


@finds("Customers", Right.READ_SALES, more="orders_customer")
def customers(term: str, environment_ids: list[str], request: HttpRequest) -> Iterable[Hit]:
    rows = Customer.objects.filter(environment_id__in=environment_ids)
    if "@" in term:
        rows = rows.alias(lower=Lower("email")).filter(lower__startswith=term.lower())
    elif len(term) > 2:
        rows = rows.filter(name__istartswith=term)
    else:
        return
    for customer in rows.order_by("-id")[: MOST + 1]:
        yield Hit(str(customer), page_of("orders_customer", customer.id), customer.email)
