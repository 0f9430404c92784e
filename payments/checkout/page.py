"""What the page shows: worked out from the session and its order as they are at that moment, and from nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flint.errors import FlintError
from flint.languages import Language
from flint.messages.kinds import Row
from orders.models import Order
from payments.checkout.access import Visit
from payments.checkout.summary import lines_of, sums_of
from payments.checkout.words import decline_text
from payments.models import CheckoutSession, PaymentAttempt
from payments.models.sessions import SessionStatus, TerminalReason
from payments.processors import processor_of
from payments.processors.base import BuyerAction, Refused
from payments.services.attempts import confirms_of
from payments.services.starting import processor_name

WATCHING = ("processing", "elsewhere", "confirm", "debit")
"""States that something from outside may end, so that the page looks again by itself."""


@dataclass(slots=True)
class Page:
    """One state of the page. ``state`` names the part of the template that is shown."""

    state: str
    language: Language
    session: CheckoutSession
    order: Order
    may_read: bool = True
    lines: Sequence[Row] = ()
    sums: Sequence[Row] = ()
    title: str = ""
    words: str = ""
    error: str = ""
    error_field: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    action: BuyerAction | None = None
    can_stop: bool = False

    def become(self, state: str, title: str, words: str) -> None:
        """Take on a state, in words that are the page's own."""
        self.state, self.title, self.words = state, title, words

    @property
    def watches(self) -> bool:
        """Whether the page looks again by itself."""
        return self.state in WATCHING

    @property
    def mark(self) -> str:
        """What can be told apart of the state by a script: as long as it stays the same, so does the page."""
        return f"{self.state} {self.order.outstanding_amount}"

    @property
    def headline(self) -> str:
        """The amount that the page is about: what is owed, or what was paid once nothing is."""
        if self.state in ("paid", "settled"):
            return self.language.money(self.order.money(self.order.net_collected_amount))
        return self.outstanding

    @property
    def outstanding(self) -> str:
        """What is still owed, for people."""
        return self.language.money(self.order.outstanding_money)


def page_of(visit: Visit, language: Language) -> Page:
    """Return the page as it is now for a browser that was let in."""
    session, order = visit.session, visit.session.order
    page = Page("open", language, session, order, may_read=visit.may_read)
    if page.may_read:
        page.lines, page.sums = lines_of(order, language), sums_of(order, language)
    attempt = session.payment_attempts.order_by("-created_at", "-id").first()
    is_own = attempt is not None and is_of(attempt, visit)
    if session.is_open or session.is_recovering(visit.at):
        _go_on(page, attempt, is_own=is_own)
    if page.state == "open" and not session.is_open:
        _ended(page, is_own=is_own and attempt.status in ("succeeded", "partially_succeeded"))
    elif page.state == "open" and not _is_payable(visit):
        page.become(
            "blocked",
            language.say("This order cannot be paid right now"),
            language.say("Nothing was charged. The merchant has to put something right first; please ask them."),
        )
    if not page.may_read and page.state in ("paid", "partly"):
        page.words = ""  # They name an amount.
    return page


def is_of(attempt: PaymentAttempt, visit: Visit) -> bool:
    """Tell whether the browser itself began a payment: its key says so."""
    return attempt.command_key.startswith(f"page {visit.browser} ")


def _is_payable(visit: Visit) -> bool:
    """Whether a payment could begin: nothing for staff to decide first, and a processor to collect."""
    if visit.session.order.is_collection_blocked or visit.session.order.status != "open" or visit.buyer is None:
        return False
    if not visit.session.order.outstanding_amount:
        return True
    try:
        processor_of(processor_name(visit.buyer)).form_amount(visit.session.order.outstanding_money)
    except (FlintError, Refused):
        return False
    return True


def _go_on(page: Page, attempt: PaymentAttempt | None, *, is_own: bool) -> None:
    """Show where the payment stands that was begun; leave the page open if there is none."""
    order, say = page.order, page.language.say
    is_mine = attempt is not None and attempt.id == order.active_attempt_id
    if order.active_attempt_id and not (is_mine and is_own):
        page.can_stop = is_mine and page.session.is_open and attempt.status == "requires_action"
        page.become(
            "elsewhere",
            say("Somebody is paying this order right now"),
            say("It is open in another browser or on another device. This page follows by itself; you pay nothing."),
        )
        return
    if attempt is None or not is_own:
        return
    if not attempt.is_open:
        if attempt.status in ("failed", "canceled", "expired"):
            page.error = decline_text(page.language, attempt.failure_code)
        return
    operations = confirms_of(attempt)
    if attempt.status == "requires_action":
        page.action = next((operation.buyer_action for operation in operations if operation.action), None)
        page.can_stop = page.session.is_open
        page.become(
            "confirm",
            say("Your bank wants to know that it is you"),
            say("Confirm the payment of {amount} with your bank to finish.", amount=page.outstanding),
        )
        return
    if attempt.status == "requires_capture":
        page.become(
            "held",
            say("Your payment is reserved"),
            say("{amount} are set aside on your card. The merchant takes them later.", amount=page.outstanding),
        )
    elif any(operation.payment_intent.source_type == "ach_debit" for operation in operations):
        page.become(
            "debit",
            say("Your bank is processing the payment"),
            say("That takes up to four working days. You can close this page; please do not pay again."),
        )
    else:
        page.become(
            "processing",
            say("We are waiting for your bank"),
            say("This takes a moment. The page follows by itself; please do not pay again."),
        )


def _ended(page: Page, *, is_own: bool) -> None:
    """Say how the session ended, kindly: what came of the payment, and what can be done now."""
    session, order, say = page.session, page.order, page.language.say
    is_paid = order.has_settled and not order.outstanding_amount
    if is_paid and (is_own or (session.status == SessionStatus.PAID and not order.net_collected_amount)):
        paid = page.language.money(order.money(order.net_collected_amount))
        words = say("We received {amount}.", amount=paid) if order.net_collected_amount else ""
        page.become("paid", say("Thank you, your order is paid"), words)
    elif is_paid:
        page.become(
            "settled",
            say("This order is already paid"),
            say("Nothing more is owed on it, and nothing was charged here."),
        )
    elif session.status in (SessionStatus.PAID, SessionStatus.PARTIALLY_PAID) and order.net_collected_amount:
        page.become(
            "partly",
            say("A part of your order is paid"),
            say("{amount} are still owed. Ask the merchant for a new link to pay them.", amount=page.outstanding),
        )
    elif session.terminal_reason == TerminalReason.ORDER_MUTATED:
        page.become(
            "ended",
            say("The order was changed"),
            say("The merchant changed it while this page was open. Nothing was charged; ask for a new link to pay it."),
        )
    elif session.terminal_reason == TerminalReason.SUPERSEDED:
        page.become(
            "ended",
            say("There is a newer link"),
            say("The merchant sent another link for this order. Nothing was charged here; please use that one."),
        )
    elif session.status == SessionStatus.EXPIRED:
        page.become(
            "expired",
            say("This page has expired"),
            say("Nothing was charged. The order is still there: ask the merchant for a new link."),
        )
    else:
        page.become(
            "ended",
            say("This checkout is closed"),
            say("Nothing more can be paid here. The merchant helps you with any question."),
        )
