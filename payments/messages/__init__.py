"""Emails to buyers: an outbox written with the facts, what each kind says, how it is sent, and the receipt as a page."""
