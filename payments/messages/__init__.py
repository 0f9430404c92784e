"""Emails to buyers: an outbox written with the facts, what each kind says, how it is sent, and a receipt as a page."""
