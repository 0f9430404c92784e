"""Links that make orders, the orders that they made, and the links by which a buyer pays one order's rest."""

import secrets
from typing import Any

import django_fsm as fsm
from django.conf import settings
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import ALPHABET, PublicIdField
from flint.money import Money
from flint.records import Record, StatefulRecord
from flint.sealing import SealedField

SHORT_LENGTH = 7


class PaymentLinkNotFound(NotFound):
    code = "PAYMENT_LINK_NOT_FOUND"
    message = "No such payment link."


class LinkType(models.TextChoices):
    STANDARD = "standard"
    DONATION = "donation"


class LinkStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"


def new_short() -> str:
    """Make the last part of a short address: seven letters and digits that people can read out."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SHORT_LENGTH)).lower()


class PaymentLink(StatefulRecord):
    """
    What buyers may order by themselves, over and over: each visit that is resolved makes an order and a session.

    Lines, custom fields and the bounds of a donation are kept as the contract writes them. They change as a whole, with
    the ``version``, and once an order was made, nothing that it owes is read from them again. ``settings`` is what each
    session of the link is opened with.

    ``completed_count`` counts the orders that were paid, each once. With ``max_completions`` a payment first claims one
    of them under the link's lock, see :mod:`payments.services.links.capacity`.
    """

    missing = PaymentLinkNotFound

    id = PublicIdField(prefix="plink")
    short = models.CharField(max_length=8, unique=True, default=new_short, editable=False)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    payment_link_type = models.CharField(max_length=8, choices=LinkType.choices)
    status = fsm.FSMField(choices=LinkStatus.choices, default=LinkStatus.ACTIVE, protected=True)
    version = models.BigIntegerField(default=1)
    inactive_message = models.TextField(blank=True)
    image = models.JSONField(null=True)
    line_items = models.JSONField(default=list)
    custom_fields = models.JSONField(default=list)
    donation = models.JSONField(default=dict)
    settings = models.JSONField(default=dict)
    max_completions = models.BigIntegerField(null=True)
    completed_count = models.BigIntegerField(default=0)
    external_reference_id = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="link_allows_at_least_one_completion",
                condition=Q(max_completions__isnull=True) | Q(max_completions__gte=1),
            ),
            models.CheckConstraint(name="link_counts_forward", condition=Q(completed_count__gte=0, version__gte=1)),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="link_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="link_by_change"),
            models.Index(fields=["environment", "external_reference_id"], name="link_by_reference"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        """The short address that buyers are given."""
        return f"{settings.BASE_URL}/l/{self.short}"

    @property
    def is_active(self) -> bool:
        return self.status == LinkStatus.ACTIVE

    @property
    def is_donation(self) -> bool:
        return self.payment_link_type == LinkType.DONATION

    @property
    def is_full(self) -> bool:
        """Whether as many checkouts were finished as are allowed in all."""
        return self.max_completions is not None and self.completed_count >= self.max_completions

    @property
    def currency(self) -> str:
        """The currency that the merchant named anywhere on the link; empty where the buyer chooses it."""
        return currency_of(self.donation) or next((code for code in map(currency_of, self.line_items) if code), "")

    @fsm.transition(field=status, source=LinkStatus.INACTIVE, target=LinkStatus.ACTIVE)
    def activate(self) -> None:
        """Let buyers use it."""

    @fsm.transition(field=status, source=LinkStatus.ACTIVE, target=LinkStatus.INACTIVE)
    def deactivate(self) -> None:
        """Take it out of use. Orders that it made stay what they are."""


def money_in(values: dict[str, Any], name: str) -> Money | None:
    """Return an amount that is kept as the contract writes it."""
    kept = values.get(name)
    return Money(kept["amount"], kept["currency"]) if kept else None


def currency_of(values: dict[str, Any]) -> str:
    """Return the currency of the first amount in a line or in a donation's bounds; empty if it has none."""
    for kept in values.values():
        for each in kept if isinstance(kept, list) else [kept]:
            if isinstance(each, dict) and "currency" in each:
                return each["currency"]
    return ""


class LinkOrderStatus(models.TextChoices):
    OPEN = "open"
    CLAIMED = "claimed"
    COMPLETED = "completed"


L = LinkOrderStatus


class PaymentLinkOrder(StatefulRecord):
    """
    An order that a link made, and whether it takes one of the link's completions; changed under the order's lock.

    ``command_key`` names the form that asked for it, so that a second click finds the same order.
    """

    order_column = "order_id"

    id = PublicIdField(prefix="plo")
    link = models.ForeignKey(PaymentLink, on_delete=models.PROTECT, related_name="made")
    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT, related_name="made_by_link")
    status = fsm.FSMField(choices=L.choices, default=L.OPEN, protected=True)
    command_key = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="link_order_once_per_command", fields=["link", "command_key"], condition=~Q(command_key="")
            ),
        ]
        indexes = [models.Index(fields=["link"], condition=Q(status=LinkOrderStatus.CLAIMED), name="link_claims")]

    def __str__(self) -> str:
        return f"{self.order_id} {self.status}"

    @fsm.transition(field=status, source=L.OPEN, target=L.CLAIMED)
    def claim(self) -> None:
        """Take one of the link's completions while the order is being paid."""

    @fsm.transition(field=status, source=L.CLAIMED, target=L.OPEN)
    def release(self) -> None:
        """Give it back: nothing was collected."""

    @fsm.transition(field=status, source=[L.OPEN, L.CLAIMED], target=L.COMPLETED)
    def complete(self) -> None:
        """The order is paid, for good as far as the link counts."""


class PayLinkNotFound(NotFound):
    message = "No such pay link."


class PayLink(Record):
    """
    An address that lets whoever has it pay what one order still owes, at any time. It holds no amount and no session:
    each visit looks at the order. Only a digest is searched by; the sealed token is there to show the address again.
    """

    missing = PayLinkNotFound
    order_column = "order_id"

    id = PublicIdField(prefix="opl")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="pay_links")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    token = SealedField(editable=False)

    def __str__(self) -> str:
        return f"pay link of {self.order_id}"

    @property
    def url(self) -> str:
        """The address, with the token that opens it."""
        return f"{settings.BASE_URL}/o/{self.token.reveal()}"
