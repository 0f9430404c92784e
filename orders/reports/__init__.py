"""The reports that orders and their ledger answer: the journal, what was sold and given back, tax, and what is owed."""

from orders.reports import closed, items, journal, receivables, sold, taxes  # noqa: F401
