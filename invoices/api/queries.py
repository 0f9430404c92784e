"""Which invoices and activities to list, and how to show one."""

from flint.api.queries import Expand, Query


class ReadInvoiceQuery(Query):
    """How to show an invoice."""

    expand = Expand(["customer", "order"])
