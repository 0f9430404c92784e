"""
What happens to payments and refunds at Stripe: one account's book, all in memory, with a clock of its own.

Callers hold ``book.lock``. A public function is either a call of the API, something a buyer, a bank or the dashboard
does, or the passing of time.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from flint.testing.stripe_server import shapes, sources
from flint.testing.stripe_server.errors import ApiError, invalid, missing
from flint.testing.stripe_server.sources import Source

HOLD_FOR = 7 * 24 * 3600
SLOW_RAIL = 4 * 24 * 3600
"""How long a bank debit and a slow refund take, unless a book is told otherwise."""

SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}
LARGEST = 99_999_999
THREE_DECIMAL = ("bhd", "jod", "kwd", "omr", "tnd")
WRITTEN_WITH_TWO = ("isk", "ugx")

EXPANDABLE = {"payment_intent": ("latest_charge", "payment_method"), "refund": ("charge", "payment_intent")}


class Clock:
    """The server's time: the machine's, and as far ahead of it as the tests have moved it."""

    def __init__(self):
        self.ahead = 0.0

    def now(self) -> int:
        """Return the time in whole seconds, as Stripe writes it."""
        return int(time.time() + self.ahead)


@dataclass
class Payment:
    """A PaymentIntent with what Stripe knows of it and does not show."""

    intent: dict[str, Any]
    source: Source | None = None
    method: dict[str, Any] | None = None
    charges: list[dict[str, Any]] = field(default_factory=list)
    due_at: int | None = None
    hold_until: int | None = None
    answers_to_sdk: bool = False


class Book:
    """Everything of one account in one mode, and its verbs."""

    def __init__(self, clock: Clock, *, livemode: bool, emit: Callable[[str, dict[str, Any]], None]):
        self.clock, self.livemode, self.emit = clock, livemode, emit
        self.lock = RLock()
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.due_refunds: dict[str, tuple[int, str]] = {}
        self.needs_mandates = False
        self.slow_rail = SLOW_RAIL

    # Calls of the API

    def create_intent(self, params: dict[str, Any]) -> Payment:
        """Make a PaymentIntent, and confirm it if that is asked for."""
        amount, currency = params["amount"], params["currency"].lower()
        _check_amount(amount, currency)
        for param in ("payment_method", "confirmation_token"):
            if param in params:
                sources.find(params[param], param=param)
        automatic = params.get("automatic_payment_methods")
        may_redirect = automatic and automatic.get("enabled") and automatic.get("allow_redirects") != "never"
        if params.get("confirm") and may_redirect and "return_url" not in params:
            raise invalid("You must provide a `return_url` when confirming with redirects.", param="return_url")
        if "return_url" in params and not params.get("confirm"):
            raise invalid("`return_url` is only for a PaymentIntent that is confirmed.", param="return_url")
        payment = Payment(
            shapes.payment_intent(
                livemode=self.livemode,
                created=self.clock.now(),
                amount=amount,
                currency=currency,
                automatic_payment_methods=automatic,
                capture_method=params.get("capture_method", "automatic"),
                description=params.get("description"),
                metadata=params.get("metadata", {}),
            )
        )
        if types := params.get("payment_method_types"):
            payment.intent["payment_method_types"] = types
        self._refuse_mismatch(payment, params)
        self.payments[payment.intent["id"]] = payment
        self._tell("payment_intent.created", payment.intent)
        if params.get("confirm"):
            self.confirm_intent(payment, params)
        return payment

    def confirm_intent(self, payment: Payment, params: dict[str, Any]) -> Payment:
        """Try to pay. :raises ApiError: 402 with the PaymentIntent in it when the bank says no."""
        intent = payment.intent
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise _unexpected_state(intent, "confirm")
        self._refuse_mismatch(payment, params)
        self._attach(payment, params)
        payment.answers_to_sdk = params.get("use_stripe_sdk", False)
        intent["last_payment_error"] = None
        match payment.source.outcome:
            case "approve":
                self._approve(payment)
            case "decline":
                self._decline(payment)
            case "authenticate":
                self._ask_buyer(payment, params.get("return_url"))
            case "debit":
                intent["status"] = "processing"
                payment.due_at = self.clock.now() + self.slow_rail
                self._tell("payment_intent.processing", intent)
        return payment

    def capture_intent(self, payment: Payment, params: dict[str, Any]) -> Payment:
        """Take some or all of a hold; the rest goes back by itself."""
        intent = payment.intent
        if intent["status"] != "requires_capture":
            raise _unexpected_state(intent, "capture")
        amount = params.get("amount_to_capture", intent["amount_capturable"])
        if amount < 1:
            raise invalid("Invalid positive integer", param="amount_to_capture", code="parameter_invalid_integer")
        _check_amount(amount, intent["currency"], smallest=1, param="amount_to_capture")
        if amount > intent["amount_capturable"]:
            # Whether Stripe adds the code here is not documented; the adapter also reads the parameter alone.
            raise invalid(
                "The amount to capture is greater than what is held.",
                code="amount_too_large",
                param="amount_to_capture",
            )
        charge = payment.charges[-1]
        # A part that is not captured shows as refunded on the charge, although no Refund object exists for it.
        charge |= {"captured": True, "amount_captured": amount, "amount_refunded": charge["amount"] - amount}
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        payment.hold_until = None
        self._tell("charge.captured", charge)
        self._tell("payment_intent.succeeded", intent)
        return payment

    def cancel_intent(self, payment: Payment, params: dict[str, Any]) -> Payment:
        """Let a payment and its hold go."""
        if payment.intent["status"] in ("succeeded", "canceled", "processing"):
            raise _unexpected_state(payment.intent, "cancel")
        self._let_go(payment, params.get("cancellation_reason"))
        return payment

    def create_refund(self, params: dict[str, Any]) -> dict[str, Any]:
        """Give back some or all of a charge. :raises ApiError: when nothing or less is left of it."""
        charge, source = self._charge_to_refund(params)
        left = charge["amount_captured"] - self._given_back(charge)
        amount = params.get("amount", left)
        if left <= 0:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if amount < 1:
            raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
        _check_amount(amount, charge["currency"], smallest=1)
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        is_slow = source.refund == "pend" or source.is_bank
        made = shapes.refund(
            charge,
            created=self.clock.now(),
            amount=amount,
            status="pending" if is_slow else "succeeded",
            metadata=params.get("metadata", {}),
            reason=params.get("reason"),
        )
        if is_slow:
            made["pending_reason"] = "processing"
        self.refunds[made["id"]] = made
        if is_slow or source.refund == "fail_later":
            outcome = "failed" if source.refund == "fail_later" else "succeeded"
            self.due_refunds[made["id"]] = (self.clock.now() + self.slow_rail, outcome)
        self._count_refunds(charge)
        self._tell("refund.created", made)
        self._tell("charge.refunded", charge)
        return made

    def find_payment(self, id: str) -> Payment:
        """:raises ApiError: if this account has no such PaymentIntent in this mode."""
        if id not in self.payments:
            raise missing("payment_intent", id, param="intent")
        return self.payments[id]

    def find_refund(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such Refund in this mode."""
        if id not in self.refunds:
            raise missing("refund", id, param="id")
        return self.refunds[id]

    # What buyers, banks and the dashboard do

    def authenticate(self, id: str, *, passed: bool) -> None:
        """Let the buyer pass 3-D Secure, or fail it."""
        payment = self.find_payment(id)
        if payment.intent["status"] != "requires_action":
            return
        payment.intent["next_action"] = None
        if passed:
            self._approve(payment)
            return
        self._fail(
            payment,
            code="payment_intent_authentication_failure",
            message="The provided PaymentMethod has failed authentication.",
            type="invalid_request_error",
        )

    def fail_refund(self, id: str, reason: str = "lost_or_stolen_card") -> None:
        """Let a bank send a refund back."""
        refund = self.find_refund(id)
        self.due_refunds.pop(id, None)
        refund |= {"status": "failed", "failure_reason": reason}
        refund.pop("pending_reason", None)
        charge = self._charge(refund["charge"])[0]
        self._count_refunds(charge)
        for type in ("refund.updated", "refund.failed", "charge.refund.updated"):
            self._tell(type, refund)

    def pass_time(self) -> None:
        """Let everything happen that is due: debits end, holds lapse, slow refunds arrive or come back."""
        now = self.clock.now()
        for payment in list(self.payments.values()):
            if payment.due_at and payment.due_at <= now and payment.source.code != "never":
                payment.due_at = None
                self._end_debit(payment)
            if payment.hold_until and payment.hold_until <= now:
                self._tell("charge.expired", payment.charges[-1])
                # The documents name both "automatic" and "expired" as Stripe's own reasons, and do not say when which.
                self._let_go(payment, "automatic")
        for id, (due_at, outcome) in list(self.due_refunds.items()):
            if due_at > now:
                continue
            if outcome == "failed":
                self.fail_refund(id, "expired_or_canceled_card")
            else:
                del self.due_refunds[id]
                self.refunds[id]["status"] = "succeeded"
                self.refunds[id].pop("pending_reason", None)
                self._tell("refund.updated", self.refunds[id])
                self._tell("charge.refund.updated", self.refunds[id])

    # Showing

    def show(self, thing: Payment | dict[str, Any], expand: list[str] = ()) -> dict[str, Any]:
        """Return an object as it is now, with what is to be expanded. :raises ApiError: if something cannot be."""
        payment = thing if isinstance(thing, Payment) else None
        shown = copy.deepcopy(payment.intent if payment else thing)
        for name in expand:
            if name not in EXPANDABLE.get(shown["object"], ()):
                raise invalid(f"This property cannot be expanded ({name}).", param="expand")
            if not shown[name]:
                continue
            match name:
                case "latest_charge":
                    shown[name] = copy.deepcopy(payment.charges[-1])
                case "payment_method":
                    shown[name] = copy.deepcopy(payment.method)
                case "charge":
                    shown[name] = copy.deepcopy(self._charge(shown[name])[0])
                case "payment_intent":
                    shown[name] = copy.deepcopy(self.payments[shown[name]].intent)
        return shown

    def charges(self) -> list[dict[str, Any]]:
        """Return every charge that took money, oldest first."""
        return [charge for payment in self.payments.values() for charge in payment.charges if charge["captured"]]

    def balance(self) -> dict[str, Any]:
        """Return what came in less what went out. Fees are left out."""
        amounts: dict[str, int] = {}
        for charge in self.charges():
            left = charge["amount_captured"] - self._given_back(charge)
            amounts[charge["currency"]] = amounts.get(charge["currency"], 0) + left
        return shapes.balance(livemode=self.livemode, amounts=amounts)

    # Inside

    def _refuse_mismatch(self, payment: Payment, params: dict[str, Any]) -> None:
        param = next((name for name in ("payment_method", "confirmation_token") if name in params), None)
        if param is None:
            return
        source = sources.find(params[param], param=param)
        intent = payment.intent
        kind = "us_bank_account" if source.is_bank else "card"
        if kind not in intent["payment_method_types"] or (source.is_bank and intent["capture_method"] == "manual"):
            raise invalid(
                f"The PaymentMethod of type {kind} does not go with this PaymentIntent.",
                code="payment_intent_incompatible_payment_method",
                param=param,
            )
        # Whether a raw bank token needs a mandate in the same call depends on the account and its history.
        if source.is_bank and self.needs_mandates and param == "payment_method" and "mandate_data" not in params:
            raise invalid("This payment method needs `mandate_data`.", code="parameter_missing", param="mandate_data")

    def _attach(self, payment: Payment, params: dict[str, Any]) -> None:
        param = next((name for name in ("payment_method", "confirmation_token") if name in params), None)
        if param is None:
            if payment.source is None:
                raise invalid(
                    "You cannot confirm this PaymentIntent because it is missing a payment method.",
                    code="payment_intent_unexpected_state",
                    payment_intent=self.show(payment),
                )
            return
        payment.source = sources.find(params[param], param=param)
        payment.method = shapes.payment_method(
            payment.source, id=shapes.new_id("pm"), livemode=self.livemode, created=self.clock.now()
        )
        payment.intent["payment_method"] = payment.method["id"]

    def _approve(self, payment: Payment) -> None:
        intent, now = payment.intent, self.clock.now()
        is_hold = intent["capture_method"] == "manual"
        payment.hold_until = now + HOLD_FOR if is_hold else None
        charge = shapes.charge(
            intent, payment.source, created=now, captured=not is_hold, capture_before=payment.hold_until
        )
        payment.charges.append(charge)
        intent |= {"latest_charge": charge["id"], "last_payment_error": None}
        if is_hold:
            intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.amount_capturable_updated" if is_hold else "payment_intent.succeeded", intent)

    def _decline(self, payment: Payment) -> None:
        source = payment.source
        error = self._fail(
            payment, code=source.code, decline_code=source.decline_code, message=source.message, type="card_error"
        )
        raise ApiError(
            402,
            "card_error",
            source.message,
            code=source.code,
            decline_code=source.decline_code,
            charge=payment.intent["latest_charge"],
            payment_intent=self.show(payment),
            payment_method=error["payment_method"],
        )

    def _fail(self, payment: Payment, *, code: str, message: str, type: str, decline_code: str = "") -> dict[str, Any]:
        intent = payment.intent
        charge = shapes.charge(intent, payment.source, created=self.clock.now(), captured=False)
        charge |= {"paid": False, "status": "failed", "failure_code": code, "failure_message": message}
        payment.charges.append(charge)
        error = {"code": code, "message": message, "type": type, "charge": charge["id"]}
        if decline_code:
            error["decline_code"] = decline_code
        error["payment_method"] = copy.deepcopy(payment.method)
        intent |= {
            "status": "requires_payment_method",
            "latest_charge": charge["id"],
            "last_payment_error": error,
            "payment_method": None,
        }
        self._tell("charge.failed", charge)
        self._tell("payment_intent.payment_failed", intent)
        return error

    def _ask_buyer(self, payment: Payment, return_url: str | None) -> None:
        intent = payment.intent
        intent["status"] = "requires_action"
        if return_url and not payment.answers_to_sdk:
            step = {"url": f"https://hooks.stripe.com/redirect/{intent['id']}", "return_url": return_url}
            intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": step}
        else:
            step = {"type": "three_d_secure_redirect", "source": shapes.new_id("src")}
            intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": step}
        self._tell("payment_intent.requires_action", intent)

    def _end_debit(self, payment: Payment) -> None:
        source = payment.source
        if source.code:
            self._fail(payment, code=source.code, message=source.message, type="card_error")
        else:
            self._approve(payment)

    def _let_go(self, payment: Payment, reason: str | None) -> None:
        intent = payment.intent
        if intent["status"] == "requires_capture":
            charge = payment.charges[-1]
            charge |= {"amount_refunded": charge["amount"], "refunded": True}
        payment.hold_until = payment.due_at = None
        intent |= {
            "status": "canceled",
            "cancellation_reason": reason,
            "canceled_at": self.clock.now(),
            "amount_capturable": 0,
            "next_action": None,
        }
        self._tell("payment_intent.canceled", intent)

    def _charge_to_refund(self, params: dict[str, Any]) -> tuple[dict[str, Any], Source]:
        if "charge" in params:
            return self._charge(params["charge"])
        if "payment_intent" not in params:
            raise invalid("One of charge or payment_intent is required.", code="parameter_missing", param="charge")
        payment = self.payments.get(params["payment_intent"])
        if payment is None:
            raise missing("payment_intent", params["payment_intent"], param="payment_intent")
        if not payment.charges or not payment.charges[-1]["captured"]:
            raise invalid(
                "This PaymentIntent does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        return payment.charges[-1], payment.source

    def _charge(self, id: str) -> tuple[dict[str, Any], Source]:
        for payment in self.payments.values():
            for charge in payment.charges:
                if charge["id"] == id:
                    return charge, payment.source
        raise missing("charge", id, param="charge")

    def _given_back(self, charge: dict[str, Any]) -> int:
        return sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["charge"] == charge["id"] and refund["status"] not in ("failed", "canceled")
        )

    def _count_refunds(self, charge: dict[str, Any]) -> None:
        not_taken = charge["amount"] - charge["amount_captured"]
        charge["amount_refunded"] = not_taken + self._given_back(charge)
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def _tell(self, type: str, thing: dict[str, Any]) -> None:
        self.emit(type, copy.deepcopy(thing))


def _check_amount(amount: int, currency: str, *, smallest: int | None = None, param: str = "amount") -> None:
    if amount < (SMALLEST.get(currency, 1) if smallest is None else smallest):
        raise invalid("Amount must be at least the smallest one.", code="amount_too_small", param=param)
    if amount > LARGEST:
        raise invalid("Amount must be no more than 999999.99.", code="amount_too_large", param=param)
    # The documents ask for these forms; with which code an amount is refused that lacks it, they do not say.
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid("The last digit must be 0 in this currency.", code="invalid_charge_amount", param=param)
    if currency in WRITTEN_WITH_TWO and amount % 100:
        raise invalid("The last two digits must be 00 in this currency.", code="invalid_charge_amount", param=param)


def _unexpected_state(intent: dict[str, Any], verb: str) -> ApiError:
    return invalid(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=copy.deepcopy(intent),
    )
