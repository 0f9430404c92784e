"""
The sandbox network's own books: accounts, payments, refunds, disputes, its balance, and what it still has to tell.

These are another company's tables that happen to live in the same database. Environments, intents and orders are
plain ids here, as they would be in a real processor's metadata, and no foreign key leaves the app.
"""

from payments.processors.sandbox.models.accounts import (
    SandboxAccount,
    SandboxOperation,
    SandboxToken,
    new_webhook_secret,
)
from payments.processors.sandbox.models.balance import SandboxBalanceTransaction, SandboxPayout
from payments.processors.sandbox.models.disputes import SandboxDispute
from payments.processors.sandbox.models.movements import SandboxMovement
from payments.processors.sandbox.models.notices import SandboxFault, SandboxNotice
from payments.processors.sandbox.models.payments import SandboxPayment, SandboxRefund, new_client_secret
from payments.processors.sandbox.models.setups import SandboxSetup, new_setup_secret

__all__ = [
    "SandboxAccount",
    "SandboxBalanceTransaction",
    "SandboxDispute",
    "SandboxFault",
    "SandboxMovement",
    "SandboxNotice",
    "SandboxOperation",
    "SandboxPayment",
    "SandboxPayout",
    "SandboxRefund",
    "SandboxSetup",
    "SandboxToken",
    "new_client_secret",
    "new_setup_secret",
    "new_webhook_secret",
]
