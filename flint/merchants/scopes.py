"""What a key may do: the contract's catalogue of scopes. Holding ``X.write`` implies ``X.read``."""

from collections.abc import Iterable


def _family(stem: str, *verbs: str) -> list[str]:
    return [f"{stem}.{verb}" for verb in verbs or ("read", "write")]


CATALOGUE: frozenset[str] = frozenset(
    [
        *_family("accounts.api_keys"),
        *_family("accounts.devices"),
        *_family("accounts.organizations"),
        *_family("analytics", "read"),
        *_family("capabilities", "read"),
        *_family("checkouts.checkout_sessions"),
        *_family("checkouts.payment_links"),
        *_family("commerce.products"),
        *_family("commerce.catalog"),
        *_family("commerce.bundles"),
        *_family("commerce.promotions"),
        *_family("commerce.orders"),
        *_family("commerce.invoices"),
        *_family("commerce.credit_notes"),
        *_family("commerce.refunds", "read", "write", "tax_overrides.write"),
        *_family("commerce.subscription_plans"),
        *_family("commerce.subscriptions"),
        *_family("commerce.delivery"),
        *_family("commerce.inventory"),
        *_family("commerce.inventory_locations", "write"),
        *_family("commerce.inventory_policies", "write"),
        *_family("commerce.returns", "read", "write", "operations.write", "resolutions.write"),
        *_family("commerce.return_policies", "write"),
        *_family("commerce.return_reasons", "write"),
        *_family("commerce.gift_cards", "read", "write", "adjustments.write", "redemptions.write", "secrets.write"),
        *_family("customers", "read", "write", "sessions.write"),
        *_family("developer.request_logs.self", "read", "detail.read"),
        *_family("developer.resource_timelines", "read"),
        *_family("developer.sandboxes"),
        *_family("developer.partner_apps"),
        *_family("developer.feedback_reports"),
        *_family("merchants.profile"),
        *_family("merchants.locations"),
        *_family("merchants.onboarding"),
        *_family("merchants.account_sessions", "write"),
        *_family("merchant_billing", "read"),
        *_family("money_movement.balances", "read"),
        *_family("money_movement.balance_transactions", "read"),
        *_family("money_movement.payouts"),
        *_family("money_movement.payout_settings"),
        *_family("payments.payment_intents"),
        *_family("payments.payment_methods"),
        *_family("payments.payment_method_domains"),
        *_family("payments.payment_options", "read"),
        *_family("payments.disputes", "read"),
        *_family("reports"),
        *_family("risk", "read", "controls.write", "reviews.write"),
        *_family("settings"),
        *_family("webhooks"),
    ]
)

FULL_ACCESS: list[str] = sorted(CATALOGUE)
"""Every scope there is: for a merchant's own first key."""


def implied(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes held, with the reads that the writes among them imply."""
    held = frozenset(scopes)
    reads = (f"{scope.removesuffix('.write')}.read" for scope in held if scope.endswith(".write"))
    return held | (frozenset(reads) & CATALOGUE)
