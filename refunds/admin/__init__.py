"""Refunds, credit notes and disputes in the admin."""

from refunds.admin import refunds  # noqa: F401, I001 - on the order page, refunds stand above disputes.
from refunds.admin import credit_notes, disputes, surplus  # noqa: F401
