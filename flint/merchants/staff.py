"""What staff may see and do: one table of roles, and what a signed-in user's memberships add up to."""

from collections.abc import Iterable
from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from flint.merchants.models import Environment, Merchant, Role, StaffMember


class Right(StrEnum):
    """Something that a role may or may not allow."""

    READ_SALES = "read_sales"
    """See orders, customers, payments and refunds."""
    REFUND = "refund"
    DECIDE_DISPUTE = "decide_dispute"
    """Write off what a dispute took, or have it collected again."""
    ADD_NOTE = "add_note"
    SEND_MESSAGES = "send_messages"
    """Email a receipt or an invoice again, a reminder, or a link to pay."""
    ISSUE_INVOICE = "issue_invoice"
    """Draft an invoice, issue it, take it back, charge or waive its late fees, and give it another link."""
    WRITE_OFF_INVOICE = "write_off_invoice"
    """Give up on what an invoice still asks for."""
    RECORD_PAYMENT = "record_payment"
    """Record money that came in outside Flint, and take that back."""
    CLOSE_CHECKOUT = "close_checkout"
    """End the checkout that a buyer was given."""
    SWITCH_LINK = "switch_link"
    """Take a payment link out of use, and put it back."""
    READ_SETUP = "read_setup"
    """See the merchant, its environments and its API keys."""
    MUTE_MESSAGES = "mute_messages"
    """Say which emails the merchant writes itself."""
    CHOOSE_POLICY = "choose_policy"
    """Say what becomes of money that came in beyond what was owed."""
    CHOOSE_SETTINGS = "choose_settings"
    """Say how checkouts, receipts and all the rest look and behave, and who the merchant is."""
    CHOOSE_INVOICE_SETTINGS = "choose_invoice_settings"
    """Say how invoices are numbered, worded and reminded of."""
    READ_STAFF = "read_staff"
    HANDLE_NOTICES = "handle_notices"
    """Try a processor's notice again, or set it aside."""
    HANDLE_WEBHOOKS = "handle_webhooks"
    """Send a webhook again, try an endpoint, and switch it off or on."""
    READ_REPORTS = "read_reports"
    """Ask for reports, download them, and see which months are closed."""
    CLOSE_PERIOD = "close_period"
    """Close a month for good."""
    READ_BALANCE = "read_balance"
    """See what a processor keeps for the merchant, what moved it and what was paid out."""
    RECONCILE = "reconcile"
    """Compare our books with a processor's, and deal with what differs."""
    CONNECT_PROCESSOR = "connect_processor"
    """Enter a processor's keys, and take them out."""
    PLAY_PROCESSOR = "play_processor"
    """Do in a sandbox what the processor, a bank or a buyer would do."""


ROLE_RIGHTS: dict[str, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.FINANCE: frozenset(
        {
            Right.READ_SALES,
            Right.REFUND,
            Right.DECIDE_DISPUTE,
            Right.ISSUE_INVOICE,
            Right.WRITE_OFF_INVOICE,
            Right.RECORD_PAYMENT,
            Right.ADD_NOTE,
            Right.SEND_MESSAGES,
            Right.CLOSE_CHECKOUT,
            Right.SWITCH_LINK,
            Right.HANDLE_NOTICES,
            Right.READ_REPORTS,
            Right.CLOSE_PERIOD,
            Right.READ_BALANCE,
            Right.RECONCILE,
            Right.CHOOSE_INVOICE_SETTINGS,
        }
    ),
    Role.SUPPORT: frozenset(
        {Right.READ_SALES, Right.REFUND, Right.ADD_NOTE, Right.SEND_MESSAGES, Right.CLOSE_CHECKOUT}
    ),
    Role.DEVELOPER: frozenset(
        {
            Right.READ_SALES,
            Right.READ_SETUP,
            Right.MUTE_MESSAGES,
            Right.HANDLE_NOTICES,
            Right.HANDLE_WEBHOOKS,
            Right.CONNECT_PROCESSOR,
            Right.PLAY_PROCESSOR,
        }
    ),
}


class Access:
    """Where a user has which right. A superuser has every right everywhere, others by their memberships only."""

    def __init__(self, environments: Iterable[tuple[str, str, frozenset[Right]]]):
        self._environments = list(environments)

    def merchant_ids(self, right: Right) -> list[str]:
        """Return the merchants where the user has a right."""
        return list(dict.fromkeys(merchant for merchant, _, rights in self._environments if right in rights))

    def environment_ids(self, right: Right) -> list[str]:
        """Return the environments where the user has a right."""
        return [environment for _, environment, rights in self._environments if environment and right in rights]

    def may(self, right: Right, environment_id: str) -> bool:
        """Tell whether the user has a right in one environment."""
        return environment_id in self.environment_ids(right)


def access_of(user: AbstractBaseUser | AnonymousUser) -> Access:
    """Return what a user may do. Read once per user object, which lives as long as its request."""
    access = getattr(user, "_flint_access", None)
    if access is None:
        access = user._flint_access = Access(_rows_of(user))
    return access


def _rows_of(user: AbstractBaseUser | AnonymousUser) -> list[tuple[str, str, frozenset[Right]]]:
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return []
    if user.is_superuser:
        found = Merchant.objects.order_by("id").values_list("id", "environments__id")
        return [(merchant, environment, frozenset(Right)) for merchant, environment in found]
    memberships = StaffMember.objects.filter(user_id=user.pk).order_by("merchant_id")
    found = memberships.values_list("merchant_id", "merchant__environments__id", "role")
    return [(merchant, environment, ROLE_RIGHTS[role]) for merchant, environment, role in found]


def environments_of(user: AbstractBaseUser | AnonymousUser, right: Right) -> list[Environment]:
    """Return the environments where a user has a right, with their merchants."""
    ids = access_of(user).environment_ids(right)
    return list(Environment.objects.filter(id__in=ids).select_related("merchant").order_by("merchant__name", "id"))
