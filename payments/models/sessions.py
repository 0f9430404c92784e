"""A buyer's time-limited collection of one order, and the credentials that open it."""

from datetime import datetime, timedelta
from typing import Self

import django_fsm as fsm
from django.conf import settings as installation
from django.db import models
from django.db.models import Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet, Record, StatefulRecord
from flint.sealing import SealedField
from orders.keeping import KeepsVersions
from orders.models.orders import Origin


class CheckoutSessionNotFound(NotFound):
    code = "CHECKOUT_SESSION_NOT_FOUND"
    message = "No such checkout session in this environment."


class SessionStatus(models.TextChoices):
    OPEN = "open"
    PAID = "paid"
    PARTIALLY_PAID = "partially_paid"
    EXPIRED = "expired"
    CLOSED = "closed"
    INVALIDATED = "invalidated"


S = SessionStatus
PAID = (S.PAID, S.PARTIALLY_PAID)
"""How a session ends through which money came in."""

RECOVERY_WINDOW = timedelta(hours=1)
"""How long a buyer may go on with a step that was begun before the session ended."""


DEFAULT_TIPS = (100_000, 150_000, 200_000)
"""What is offered where a merchant names no tips: 10, 15 and 20 percent."""


class Surface(models.TextChoices):
    HOSTED = "hosted"
    EMBEDDED = "embedded"


class TerminalReason(models.TextChoices):
    PAYMENT_SUCCEEDED = "payment_succeeded"
    PAYMENT_PARTIALLY_SUCCEEDED = "payment_partially_succeeded"
    EXPIRED = "expired"
    API = "api"
    ORDER_MUTATED = "order_mutated"
    SUPERSEDED = "superseded"
    INVOICE_PAID_ELSEWHERE = "invoice_paid_elsewhere"
    INVOICE_VOIDED = "invoice_voided"
    INVOICE_UNCOLLECTIBLE = "invoice_uncollectible"
    INVOICE_BALANCE_CHANGED = "invoice_balance_changed"


class CheckoutSessionQuerySet(EnvironmentQuerySet):
    """Checkout sessions."""

    def abandoned(self) -> Self:
        """Keep to those whose buyer said how to be reached, paid nothing, and still could on another one."""
        is_reachable = ~Q(contact_email="") | ~Q(contact_phone="")
        return self.filter(
            is_reachable, status__in=(S.OPEN, S.EXPIRED), order__status="open", order__payment_status="unpaid"
        )


class CheckoutSession(StatefulRecord):
    """
    One buyer-facing collection of one order, on our page or on the merchant's. At most one is open per order.

    What it asks for is read from the order whenever it is shown; it keeps no amount. ``settings`` is what the caller
    chose of the contract's configuration, as it is echoed. ``launch_secret`` is part of the hosted page's address.
    A session that ended while its own attempt was under way is in recovery until ``recovery_expires_at``: its
    credential may read, and resume that attempt. One that an invoice opened asks for what that is due, or for one entry
    of its schedule, and is worth as long as the generation of the link that it was opened by.
    """

    missing = CheckoutSessionNotFound
    order_column = "order_id"
    objects = CheckoutSessionQuerySet.as_manager()

    id = PublicIdField(prefix="cs")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="checkout_sessions")
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="+")
    status = fsm.FSMField(choices=S.choices, default=S.OPEN, protected=True)
    payment_link = models.ForeignKey(
        "payments.PaymentLink", on_delete=models.PROTECT, null=True, related_name="checkout_sessions"
    )
    invoice = models.ForeignKey(
        "invoices.Invoice", on_delete=models.PROTECT, null=True, related_name="checkout_sessions"
    )
    invoice_schedule_entry = models.ForeignKey(
        "invoices.InvoiceScheduleEntry", on_delete=models.PROTECT, null=True, related_name="+"
    )
    invoice_link_generation = models.IntegerField(null=True)
    surface = models.CharField(max_length=8, choices=Surface.choices, default=Surface.HOSTED)
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.CHECKOUT)
    settings = models.JSONField(default=dict)
    launch_secret = SealedField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    terminal_reason = models.CharField(max_length=32, choices=TerminalReason.choices, blank=True)
    closed_reason = models.TextField(blank=True)
    superseded_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    recovery_attempt = models.ForeignKey(
        "payments.PaymentAttempt", on_delete=models.PROTECT, null=True, related_name="+"
    )
    recovery_expires_at = models.DateTimeField(null=True)
    contact_email = models.CharField(max_length=255, blank=True)
    contact_phone = models.CharField(max_length=32, blank=True)
    is_email_cleared = models.BooleanField(default=False)
    is_phone_cleared = models.BooleanField(default=False)
    contact_updated_at = models.DateTimeField(null=True)
    contact_erased_at = models.DateTimeField(null=True)
    timezone = models.CharField(max_length=64, blank=True)
    locale = models.CharField(max_length=16, blank=True)
    external_reference_id = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="session_one_open_per_order", fields=["order"], condition=Q(status=SessionStatus.OPEN)
            ),
            models.CheckConstraint(
                name="session_ends_with_a_reason",
                condition=Q(status=S.OPEN, terminal_reason="", ended_at__isnull=True)
                | (~Q(status=S.OPEN) & ~Q(terminal_reason="") & Q(ended_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="session_by_time"),
            models.Index(fields=["environment", "updated_at", "id"], name="session_by_change"),
            models.Index(fields=["expires_at"], condition=Q(status=SessionStatus.OPEN), name="session_to_expire"),
            models.Index(fields=["ended_at"], condition=Q(contact_erased_at__isnull=True), name="session_to_erase"),
            models.Index(
                fields=["environment", "contact_updated_at"],
                condition=~Q(contact_email=""),
                name="session_by_contact",
            ),
            models.Index(
                fields=["recovery_expires_at"],
                condition=Q(recovery_expires_at__isnull=False),
                name="session_to_recover",
            ),
        ]
        triggers = [
            KeepsVersions(name="session_versions", only=("id", "environment_id", "order_id", "created_at")),
        ]

    def __str__(self) -> str:
        return f"{self.surface} {self.status}"

    @property
    def is_open(self) -> bool:
        return self.status == S.OPEN

    @property
    def is_abandoned(self) -> bool:
        """As :meth:`CheckoutSessionQuerySet.abandoned`, of a session whose order is at hand."""
        is_reachable = bool(self.contact_email or self.contact_phone)
        is_unpaid = self.order.status == "open" and self.order.payment_status == "unpaid"
        return is_reachable and is_unpaid and self.status in (S.OPEN, S.EXPIRED)

    @property
    def return_url(self) -> str:
        """Where a buyer who was sent elsewhere to confirm comes back to."""
        return f"{installation.BASE_URL}/payment-returns/{self.id}"

    @property
    def payment_options(self) -> list[str]:
        """The ways to pay that the merchant chose; empty if any will do."""
        return self.settings.get("payments", {}).get("enabled_payment_options", [])

    def is_recovering(self, at: datetime) -> bool:
        """Whether it has ended and its own unfinished attempt may still be gone on with."""
        return not self.is_open and self.recovery_expires_at is not None and at < self.recovery_expires_at

    @fsm.transition(
        field=status,
        source=S.OPEN,
        target=fsm.GET_STATE(lambda self, status, **_: status, states=[s for s in S.values if s != S.OPEN]),
    )
    def end(self, status: str, *, reason: str, at: datetime) -> None:
        """Nothing more is collected through it."""
        self.terminal_reason = reason
        self.ended_at = at


class CheckoutCredential(Record):
    """
    A secret that opens one session for a buyer: handed out at a launch, or by our page to a browser.

    Only a digest of it is kept. With a ``customer`` it acts for that one, and may use what they have saved.
    """

    order_column = "session__order_id"

    id = PublicIdField(prefix="csc")
    session = models.ForeignKey(CheckoutSession, on_delete=models.CASCADE, related_name="credentials")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    customer = models.ForeignKey("orders.Customer", on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"credential of {self.session_id}"
