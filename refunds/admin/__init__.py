"""Refunds and disputes in the admin."""

from refunds.admin import refunds  # noqa: F401, I001 - on the order page, refunds stand above disputes.
from refunds.admin import disputes, surplus  # noqa: F401
