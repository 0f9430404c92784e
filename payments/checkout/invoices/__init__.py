"""The buyer's page of an invoice: what is billed, what was paid and what is due, with a way to pay it."""
