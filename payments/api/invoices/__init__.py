"""Invoices over HTTP, as far as paying them goes: for merchants, and for the buyers who have their links."""
