"""
The search box of the order list: what staff are told on the phone, exact or from its beginning.

Every way to match is a query of its own over an index, and the list takes their union; one condition joined by OR over
several tables would read them all.
"""

import re
from collections.abc import Sequence

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower, Upper

from flint.ids import is_id
from flint.money import exponent
from orders.admin.registry import order_searches
from orders.models import Customer, Order


def matching(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    """Return the ids of the orders that a term finds, as one query to filter by; None where nothing can match."""
    found = [query for search in order_searches if (query := search(term, environment_ids)) is not None]
    return found[0].union(*found[1:]) if found else None


def _orders(environment_ids: Sequence[str]) -> QuerySet[Order]:
    # A union takes no ORDER BY in its parts.
    return Order.objects.filter(environment_id__in=environment_ids).order_by()


def by_id(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    if not term.lower().startswith("ord_"):
        return None
    start = f"ord_{term[4:].upper()}"
    orders = _orders(environment_ids)
    return (orders.filter(id=start) if is_id(start) else orders.filter(id__startswith=start)).values("id")


def by_number(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    start = term.upper()
    if len(start) > 5 and "-" not in start:
        start = f"{start[:5]}-{start[5:]}"
    return _orders(environment_ids).filter(order_number__startswith=start).values("id")


def by_reference(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    return _orders(environment_ids).filter(external_reference_id__startswith=term).values("id")


def by_contact(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    # The index is on the upper case of the address.
    orders = _orders(environment_ids).alias(upper=Upper("contact_email"))
    return orders.filter(upper__startswith=Upper(Value(term))).values("id") if "@" in term or len(term) > 2 else None


def by_customer(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    """Match a customer's email address or name."""
    customers = Customer.objects.filter(environment_id__in=environment_ids).alias(lower=Lower("email")).order_by()
    found = customers.filter(lower__startswith=term.lower()).values("id")
    if "@" not in term:
        found = found.union(customers.filter(name__istartswith=term).values("id"))
    return _orders(environment_ids).filter(customer_id__in=found).values("id")


AMOUNT = re.compile(
    r"(?:(?P<before>[A-Za-z]{3})\s*)?(?P<whole>\d[\d.,'\s]*?)(?:[.,](?P<part>\d{1,3}))?\s*(?P<after>[A-Za-z]{3})?"
)


def by_amount(term: str, environment_ids: Sequence[str]) -> QuerySet | None:
    """Match what an order is worth: ``12.50``, ``1.234,50 EUR``, ``JPY 500``; a bare whole number is no amount."""
    found = AMOUNT.fullmatch(term.strip())
    if found is None:
        return None
    currency = (found["before"] or found["after"] or "").upper()
    if not currency and not found["part"]:
        return None
    whole, part = re.sub(r"\D", "", found["whole"]), found["part"] or ""
    orders = _orders(environment_ids)
    if currency:
        orders = orders.filter(currency=currency)
    if currency and len(part) == 3 and exponent(currency) != 3:
        whole, part = f"{whole}{part}", ""  # "1.234 EUR": that sign parted the thousands.
    digits = exponent(currency) if currency else max(len(part), 2)
    if len(part) > digits or len(whole) + digits > 18:
        return None
    return orders.filter(total_amount=int(f"{whole}{part.ljust(digits, '0')}")).values("id")


order_searches += [by_id, by_number, by_reference, by_contact, by_customer, by_amount]
