"""
What Flint asks of a processor, and the only words it hears back. An adapter translates; it decides nothing.

Every call that moves money carries ``operation_id``: the id of our own committed row, used as the processor's
idempotency key and written into its metadata. So a repeated call has one effect, and an answer that was lost can be
asked for.
Calls are made outside any transaction. Three things can go wrong, and they are not the same: the processor said no
(:class:`Refused`, nothing was done), we never reached it (:class:`Unreachable`, nothing was done, try again), and we do
not know (:class:`NoAnswer`, ask later, never repeat blindly). What it shows may also not be ours (:class:`DoesNotFit`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flint.celery import refuse_inside_transaction as refuse_inside_transaction
from flint.money import Money

PaymentStatus = Literal[
    "requires_payment_method",  # declined or given up; see error_code
    "requires_action",  # the buyer must act; see action
    "processing",  # under way at a slow rail
    "requires_capture",  # held, not taken
    "succeeded",
    "canceled",
]
RefundStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
SetupStatus = Literal["requires_payment_method", "requires_action", "processing", "succeeded", "failed", "canceled"]
DisputeStatus = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
]
PayoutStatus = Literal["pending", "in_transit", "paid", "failed", "canceled"]


class ProcessorError(Exception):
    """The family of everything a processor call can raise."""


class Refused(ProcessorError):
    """
    The processor understood and said no; nothing was done.

    ``code`` is a decline code of the contract in lower case (``card_declined``) or ``invalid_state``,
    ``amount_too_large``, ``invalid_payment_source``, ``not_found``, ``insufficient_available_balance``.
    """

    def __init__(self, code: str, message: str = ""):
        self.code = code
        self.message = message or code.replace("_", " ")
        super().__init__(self.message)


class Unreachable(ProcessorError):
    """The call never got through; nothing was done, and the same call may be made again."""


class Misconfigured(Unreachable):
    """The environment has no keys, or the processor does not take them; nothing is done until somebody mends that."""


class NoAnswer(ProcessorError):
    """The call may or may not have been carried out. Only asking can tell."""


class DoesNotFit(ProcessorError):
    """What the processor says belongs to nothing here: another environment, currency or operation. Never booked."""


class NotOurs(DoesNotFit):
    """It belongs to somebody else at the same processor account, or to the other mode: nothing that anybody misses."""


class BadSignature(ProcessorError):
    """A notice that the processor cannot have sent, or that is too old to believe."""


@dataclass(frozen=True, slots=True)
class BuyerAction:
    """A step the buyer takes in the browser. ``client_secret`` is a secret and goes nowhere but ``pending_actions``."""

    id: str
    client_secret: str
    publishable_key: str
    account_id: str | None = None
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """What may be remembered of a payment source: never a number, only what a receipt shows."""

    type: Literal["card", "ach_debit"]
    brand: str = ""
    last4: str = ""
    bank_name: str = ""
    account_type: str = ""
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """
    Create one payment at the processor and confirm it, in one call. ``token`` is ``pm_…`` or ``ctoken_…``.

    A saved method is paid with by its ``token`` together with its ``customer_reference``; ``is_off_session`` says that
    the buyer is not there to act. ``keep_for`` is a customer of ours: once the card has paid it is kept for them, to be
    used again with them there; then ``customer_reference`` is the processor's name for them if it has one.
    """

    operation_id: str
    payment_intent_id: str
    environment_id: str
    order_id: str | None
    money: Money
    capture_method: Literal["automatic", "manual"]
    token: str
    return_url: str = ""
    customer_reference: str = ""
    is_off_session: bool = False
    keep_for: str = ""


@dataclass(frozen=True, slots=True)
class PaymentState:
    """
    A payment as the processor sees it now. ``operation_id`` and the other ids are ours, from its metadata.

    ``kept_token`` pays again with a card that was kept with the payment, together with ``customer_reference``.
    """

    reference: str
    status: PaymentStatus
    money: Money
    operation_id: str
    payment_intent_id: str
    environment_id: str
    authorized_amount: int = 0
    captured_amount: int = 0
    authorization_expires_at: datetime | None = None
    error_code: str = ""
    error_message: str = ""
    action: BuyerAction | None = None
    source: SourceSummary | None = None
    kept_token: str = ""
    customer_reference: str = ""
    cancellation_reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give back ``money`` of the payment ``payment_reference``. ``operation_id`` is our refund leg's id."""

    operation_id: str
    refund_id: str
    environment_id: str
    payment_reference: str
    money: Money
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefundState:
    """
    A refund as the processor sees it now. ``operation_id`` is empty when we did not ask for it, and then
    ``environment_id`` is the one that was asked about.
    """

    reference: str
    status: RefundStatus
    money: Money
    operation_id: str
    environment_id: str
    payment_reference: str
    failure_reason: str = ""
    reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Begin to save a card of a customer. ``customer_reference`` is the processor's name for them if it has one."""

    operation_id: str
    payment_method_id: str
    environment_id: str
    customer_id: str
    customer_reference: str = ""
    usage: Literal["off_session", "on_session"] = "off_session"


@dataclass(frozen=True, slots=True)
class SetupState:
    """
    A card on its way to being saved, as the processor sees it now. ``client_secret`` is a secret for the browser, and
    so is ``redirect_url``, a page that takes the step without the processor's library, where there is one.

    ``token`` pays with the card once it is saved, together with ``customer_reference``.
    """

    reference: str
    status: SetupStatus
    operation_id: str
    payment_method_id: str
    environment_id: str
    client_secret: str = ""
    redirect_url: str | None = None
    customer_reference: str = ""
    token: str = ""
    source: SourceSummary | None = None
    error_code: str = ""
    error_message: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DisputeState:
    """
    A dispute as the processor sees it now. Our own ids are those of its payment, so it names none of them itself.

    ``withdrawn_amount`` is what the processor holds back of the merchant's money for it at the moment, in the
    payment's currency: nothing for an inquiry, the disputed amount after a withdrawal, nothing again once reinstated.
    ``reason`` and ``case_type`` are the contract's words.
    """

    reference: str
    status: DisputeStatus
    money: Money
    withdrawn_amount: int
    environment_id: str
    payment_reference: str
    reason: str = "general"
    case_type: str = "chargeback"
    evidence_due_at: datetime | None = None
    has_evidence: bool = False
    evidence_submission_count: int = 0
    is_evidence_past_due: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BalanceTransactionState:
    """
    One movement of the balance that the processor keeps for the merchant.

    ``amount`` is signed and gross, ``fee_amount`` positive when charged and negative when given back,
    ``net_amount = amount - fee_amount``, all in minor units of ``currency``, which is the balance's and may differ from
    the payment's. ``source_kind`` and ``source_reference`` name the payment, refund, dispute or payout behind it by the
    processor's reference. ``type`` is the contract's word.
    """

    reference: str
    type: Literal[
        "payment", "refund", "dispute", "dispute_reversal", "payout", "payout_failure", "payout_cancellation",
        "payout_reversal", "reserve_hold", "reserve_release", "adjustment",
    ]  # fmt: skip
    status: Literal["pending", "available"]
    amount: int
    fee_amount: int
    net_amount: int
    currency: str
    environment_id: str
    occurred_at: datetime
    available_at: datetime | None = None
    source_kind: Literal["payment", "refund", "dispute", "payout", ""] = ""
    source_reference: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class PayoutState:
    """Money on its way from the processor to the merchant's bank, as the processor sees it now."""

    reference: str
    status: PayoutStatus
    money: Money
    environment_id: str
    is_automatic: bool = True
    arrives_at: datetime | None = None
    failure_code: str = ""
    failure_message: str = ""
    description: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BalanceState:
    """What the processor keeps for the merchant in one currency, in signed minor units."""

    currency: str
    available_amount: int
    pending_amount: int


@dataclass(frozen=True, slots=True)
class Notice:
    """
    A verified notice: a hint that something changed at ``kind`` / ``reference``. Its payload is never believed.

    ``other`` is a type that is of no interest here, ``foreign`` an object of another mode or account.
    """

    id: str
    type: str
    kind: Literal["payment", "refund", "setup", "dispute", "payout", "other", "foreign"]
    reference: str
    created_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)


class Processor(ABC):
    """One processor, for any environment. Adapters keep no state between calls."""

    name: str
    form_template: str
    """The part of the hosted page that asks for a payment source."""

    form_script = ""
    """The processor's own library for that part, if it has one."""

    form_origins: Mapping[str, Sequence[str]] = {}
    """Other origins that the form needs, by directive of a Content-Security-Policy."""

    def token_of_form(self, *, environment_id: str, form: Mapping[str, str]) -> str:
        """
        Return the token to pay with, from what the hosted page's form posted. Made by the processor's own library.

        :raises Refused: if there is none.
        """
        token = form.get("confirmation_token", "")
        if not token.startswith("ctoken_") or len(token) > 255:
            raise Refused("invalid_payment_source", "The form brought no payment source.")
        return token

    def form_amount(self, money: Money) -> int:
        """Return an amount as the library behind the form counts it."""
        return money.amount

    def is_configured(self, *, environment_id: str) -> bool:
        """Tell whether the environment has all it takes to collect through this processor."""
        return True

    @abstractmethod
    def option_of(self, *, environment_id: str, token: str) -> str:
        """
        Return the payment option behind a token: ``card``, ``apple_pay``, ``google_pay``, ``ach_debit``, or else what
        the processor calls it.

        :raises Refused: if there is no such token. :raises NoAnswer, Unreachable: if nobody could say.
        """

    def may_be_kept(self, *, environment_id: str, token: str) -> bool:
        """
        Tell whether a confirmation token was made for a card that is used again with the buyer there.

        :raises Refused: if there is no such token. :raises NoAnswer, Unreachable: if nobody could say.
        """
        return True

    @abstractmethod
    def confirm(self, request: PaymentRequest) -> PaymentState:
        """Create and confirm a payment. Repeating the same operation id returns the same payment, as it is now."""

    @abstractmethod
    def retrieve_payment(self, *, environment_id: str, reference: str) -> PaymentState | None:
        """Return a payment by the processor's reference, or None if there is none."""

    @abstractmethod
    def find_payment(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> PaymentState | None:
        """
        Return the payment that our operation made, or None if it made none.

        ``since`` is when the operation was written down, for a processor that can only look through a stretch of time.
        """

    @abstractmethod
    def capture(self, *, environment_id: str, reference: str, operation_id: str, money: Money) -> PaymentState:
        """Take ``money`` of a hold, once, and let the rest go. Refused with ``invalid_state`` when nothing is held."""

    @abstractmethod
    def cancel(self, *, environment_id: str, reference: str, operation_id: str, reason: str = "") -> PaymentState:
        """Let a payment or hold go. Refused with ``invalid_state`` once money was taken or is under way."""

    @abstractmethod
    def refund(self, request: RefundRequest) -> RefundState:
        """Give money back. Refused when the processor will not; a success may still fail later."""

    @abstractmethod
    def retrieve_refund(self, *, environment_id: str, reference: str) -> RefundState | None:
        """Return a refund by the processor's reference, or None."""

    @abstractmethod
    def find_refund(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> RefundState | None:
        """Return the refund that our operation made, or None if it made none. ``since`` as in :meth:`find_payment`."""

    @abstractmethod
    def begin_setup(self, request: SetupRequest) -> SetupState:
        """
        Begin to save a card; the browser goes on with the ``client_secret``.

        Makes the customer at the processor where it has none yet. Repeating the same operation id returns the same
        setup, as it is now, with its secret.
        """

    @abstractmethod
    def retrieve_setup(self, *, environment_id: str, reference: str) -> SetupState | None:
        """Return a setup by the processor's reference, or None."""

    @abstractmethod
    def find_setup(self, *, environment_id: str, operation_id: str, since: datetime | None = None) -> SetupState | None:
        """Return the setup that our operation began, or None. ``since`` as in :meth:`find_payment`."""

    @abstractmethod
    def detach(self, *, environment_id: str, token: str, operation_id: str) -> None:
        """Have the processor forget a saved card. One that is forgotten already, or unknown, is no error."""

    @abstractmethod
    def retrieve_dispute(self, *, environment_id: str, reference: str) -> DisputeState | None:
        """Return a dispute by the processor's reference, or None."""

    @abstractmethod
    def retrieve_payout(self, *, environment_id: str, reference: str) -> PayoutState | None:
        """Return a payout by the processor's reference, or None."""

    @abstractmethod
    def list_payments(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PaymentState]:
        """
        Go through every payment made in a stretch of time, newest first, in flat memory.

        Those that nobody here asked for come too: their ids of ours are empty, or somebody else's. ``until`` is
        exclusive, ``since`` inclusive. So do the other lists. They raise as any call does, also on the way.
        """

    @abstractmethod
    def list_refunds(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[RefundState]:
        """Go through every refund made in a stretch of time, as :meth:`list_payments`."""

    @abstractmethod
    def list_disputes(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[DisputeState]:
        """Go through every dispute opened in a stretch of time, as :meth:`list_payments`."""

    @abstractmethod
    def list_payouts(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PayoutState]:
        """Go through every payout made in a stretch of time, as :meth:`list_payments`."""

    @abstractmethod
    def list_balance_transactions(
        self, *, environment_id: str, since: datetime, until: datetime, payout_reference: str = ""
    ) -> Iterator[BalanceTransactionState]:
        """
        Go through every movement of the balance in a stretch of time, as :meth:`list_payments`.

        With ``payout_reference``, only those that an automatic payout paid out, whenever they were made; the payout's
        own movement is not among them.
        """

    @abstractmethod
    def balances(self, *, environment_id: str) -> list[BalanceState]:
        """Return what the processor keeps for the merchant now, by currency."""

    @abstractmethod
    def read_notice(self, *, environment_id: str, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        """
        Verify the signature on the raw bytes and read the notice.

        :raises BadSignature: if it is not the processor's own, or older than the tolerance.
        """

    @abstractmethod
    def collection(self, *, environment_id: str) -> dict[str, Any]:
        """Return what a browser needs to collect a source: ``publishable_key``, ``account_id`` if any. No secret."""
