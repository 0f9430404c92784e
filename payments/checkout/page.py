"""What the page shows: worked out from the session and its order as they are at that moment, and from nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flint.errors import Conflict, FlintError
from flint.languages import Language
from flint.messages.kinds import Row
from flint.money import Money
from orders.models import Order
from payments.checkout.access import Visit
from payments.checkout.known import Known, known_of
from payments.checkout.summary import lines_of, paid_in, sums_of
from payments.checkout.words import decline_text
from payments.models import CheckoutSession, PaymentAttempt
from payments.models.sessions import PAID, SessionStatus, TerminalReason
from payments.processors import processor_of
from payments.processors.base import BuyerAction, Refused
from payments.services.attempts import confirms_of
from payments.services.invoices.parts import part_of_session
from payments.services.starting import processor_name

WATCHING = ("processing", "elsewhere", "confirm", "debit")
"""States that something from outside may end, so that the page looks again by itself."""

MOVED = (
    TerminalReason.INVOICE_BALANCE_CHANGED,
    TerminalReason.PAYMENT_PARTIALLY_SUCCEEDED,
    TerminalReason.SUPERSEDED,
)
"""Why the session of an invoice may be over while the invoice still asks for something."""


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
    known: Known | None = None
    asked_amount: int = 0

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
        return f"{self.state} {self.asked_amount}"

    @property
    def headline(self) -> str:
        """The amount that the page is about: what is asked for, or what was paid once nothing is."""
        if self.state in ("paid", "settled"):
            return self.language.money(paid_in(self.session))
        return self.outstanding if self.state == "partly" else self.asked

    @property
    def asked(self) -> str:
        """What is to be paid here, for people: all that is owed, or what is due of an invoice."""
        return self.language.money(self.asked_money)

    @property
    def asked_money(self) -> Money:
        """What is to be paid here."""
        return self.order.money(self.asked_amount)

    @property
    def outstanding(self) -> str:
        """What is still owed, for people."""
        return self.language.money(self.order.outstanding_money)


def page_of(visit: Visit, language: Language) -> Page:
    """Return the page as it is now for a browser that was let in."""
    session, order = visit.session, visit.session.order
    asked = _asked(visit)
    page = Page("open", language, session, order, may_read=visit.may_read, asked_amount=asked)
    if page.may_read:
        page.lines, page.sums = lines_of(order, language), sums_of(order, language, asked=asked)
    attempt = session.payment_attempts.order_by("-created_at", "-id").first()
    is_own = attempt is not None and is_of(attempt, visit)
    if session.is_open or session.is_recovering(visit.at):
        _go_on(page, attempt, is_own=is_own)
    if page.state == "open" and not session.is_open:
        _ended(page, is_own=is_own and attempt.status in ("succeeded", "partially_succeeded"))
    elif page.state == "open" and not _is_payable(visit, page):
        page.become(
            "blocked",
            language.say("This order cannot be paid right now"),
            language.say("Nothing was charged. The merchant has to put something right first; please ask them."),
        )
    if page.state == "open" and page.asked_amount and visit.buyer is not None:
        page.known = known_of(session, visit.buyer, language)
    if not page.may_read and page.state in ("paid", "partly"):
        page.words = ""  # They name an amount.
    return page


def _asked(visit: Visit) -> int:
    """Return what the session asks for now; of one that has ended, what is still owed."""
    session, order = visit.session, visit.session.order
    if not session.is_open:
        return order.outstanding_amount
    try:
        return part_of_session(session, order, at=visit.at).amount
    except Conflict:
        return 0  # Its invoice asks for nothing just now.


def is_of(attempt: PaymentAttempt, visit: Visit) -> bool:
    """Tell whether the browser itself began a payment: its key says so."""
    return attempt.command_key.startswith(f"page {visit.browser} ")


def _is_payable(visit: Visit, page: Page) -> bool:
    """Whether a payment could begin: nothing for staff to decide first, and a processor to collect."""
    if visit.session.order.is_collection_blocked or visit.session.order.status != "open" or visit.buyer is None:
        return False
    if not visit.session.order.outstanding_amount:
        return True
    if not page.asked_amount:
        return False
    try:
        processor_of(processor_name(visit.buyer)).form_amount(page.asked_money)
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
            say("Confirm the payment of {amount} with your bank to finish.", amount=page.asked),
        )
        return
    if attempt.status == "requires_capture":
        page.become(
            "held",
            say("Your payment is reserved"),
            say("{amount} are set aside on your card. The merchant takes them later.", amount=page.asked),
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


def _invoice_ended(page: Page, *, is_own: bool) -> bool:
    """Say how the session of an invoice ended, and tell whether that is another story than that of an order."""
    session, say = page.session, page.language.say
    if session.status in PAID and is_own:
        paid = page.language.money(paid_in(session))
        page.become("paid", say("Thank you, your payment is there"), say("We received {amount}.", amount=paid))
    elif session.terminal_reason in (TerminalReason.INVOICE_VOIDED, TerminalReason.INVOICE_UNCOLLECTIBLE):
        page.become(
            "ended",
            say("This invoice asks for nothing any more"),
            say("Nothing was charged here. The merchant helps you with any question."),
        )
    elif session.terminal_reason == TerminalReason.INVOICE_PAID_ELSEWHERE:
        page.become(
            "settled",
            say("This invoice is already paid"),
            say("Nothing more is owed on it, and nothing was charged here."),
        )
    elif session.terminal_reason in MOVED:
        page.become(
            "ended",
            say("What is owed has changed"),
            say("Nothing was charged here. Open the invoice again to see what is left to pay."),
        )
    else:
        return False
    return True


def _ended(page: Page, *, is_own: bool) -> None:
    """Say how the session ended, kindly: what came of the payment, and what can be done now."""
    session, order, say = page.session, page.order, page.language.say
    is_paid = order.has_settled and not order.outstanding_amount
    if session.invoice_id and _invoice_ended(page, is_own=is_own):
        return
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
