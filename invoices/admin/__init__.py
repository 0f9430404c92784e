"""Invoices in the admin."""

from invoices.admin import acting, finding, orders, words  # noqa: F401
from invoices.admin.invoices import InvoiceAdmin
from invoices.admin.terms import PaymentTermAdmin

__all__ = ["InvoiceAdmin", "PaymentTermAdmin"]
