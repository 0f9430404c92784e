"""What a customer owes on invoices, for who reads customers and asks for it."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from flint.api.fields import ListOf, MoneyField, StrictString, TimestampField
from flint.api.serializers import Output
from invoices.selectors import receivables
from orders.api.serializers import Derived, extend_customer
from orders.api.serializers.customers import loads_customers
from orders.models import Customer


class ReceivableBalanceOutput(Output):
    """What is asked for in one currency, and how much of that should have come in by now."""

    currency = StrictString()
    outstanding_money = MoneyField()
    overdue_money = MoneyField()


class ReceivablesOutput(Output):
    """What a customer's invoices ask for; a currency in which nothing is asked for is left out."""

    balances = ListOf(ReceivableBalanceOutput())
    observed_at = TimestampField()


@loads_customers("receivables")
def load_receivables(customers: Sequence[Customer]) -> None:
    """Put onto each customer what it owes, in no more statements for many than for one."""
    at = timezone.now()
    found = receivables(list(customers), at=at)
    for customer in customers:
        balances = [
            {"currency": owed.currency, "outstanding_money": owed, "overdue_money": overdue}
            for owed, overdue in found.get(customer.pk, [])
        ]
        customer.receivables = {"balances": balances, "observed_at": at}


def _receivables_of(customer: Customer) -> dict[str, Any]:
    if not hasattr(customer, "receivables"):
        load_receivables([customer])
    return customer.receivables


extend_customer(receivables=Derived(_receivables_of, ReceivablesOutput(), required=False))
