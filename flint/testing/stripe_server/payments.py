"""What happens to payments: a PaymentIntent, the tries to pay it, and the charges that they leave."""

import copy
from dataclasses import dataclass, field
from typing import Any

from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.amounts import check_amount, converted, fee_for
from flint.testing.stripe_server.clock import HOLD_FOR, SETTLES_IN
from flint.testing.stripe_server.errors import ApiError, invalid, missing
from flint.testing.stripe_server.sources import Source


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


class Payments:
    """What a book does with payments."""

    payments: dict[str, Payment]
    needs_mandates: bool
    slow_rail: int

    # Calls of the API

    def create_intent(self, params: dict[str, Any]) -> Payment:
        """Make a PaymentIntent, and confirm it if that is asked for."""
        amount, currency = params["amount"], params["currency"].lower()
        check_amount(amount, currency)
        for param in ("payment_method", "confirmation_token"):
            if param in params:
                self._source_of(params[param], param=param)
        if "customer" in params:
            self._refuse_gone(params["customer"])
        if "off_session" in params and not params.get("confirm"):
            raise invalid("`off_session` is only for a PaymentIntent that is confirmed.", param="off_session")
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
                customer=params.get("customer"),
                description=params.get("description"),
                metadata=params.get("metadata", {}),
                setup_future_usage=params.get("setup_future_usage"),
            )
        )
        if types := params.get("payment_method_types"):
            payment.intent["payment_method_types"] = types
        self._refuse_mismatch(payment, params)
        self.payments[payment.intent["id"]] = payment
        self._keep(payment.intent)
        self._tell("payment_intent.created", payment.intent)
        if params.get("confirm"):
            self.confirm_intent(payment, params)
        return payment

    def confirm_intent(self, payment: Payment, params: dict[str, Any]) -> Payment:
        """Try to pay. :raises ApiError: 402 with the PaymentIntent in it when the bank says no."""
        intent = payment.intent
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise unexpected_state(intent, "confirm")
        self._refuse_mismatch(payment, params)
        self._attach(payment, params)
        payment.answers_to_sdk = params.get("use_stripe_sdk", False)
        intent["last_payment_error"] = None
        match payment.source.outcome:
            case "approve":
                self._approve(payment)
            case "decline":
                source = payment.source
                self._decline(payment, source.code, source.decline_code, source.message)
            case "authenticate" if params.get("off_session") and payment.source.remembers:
                # Whoever saved the card passed 3-D Secure then, and the bank asks no more.
                self._approve(payment)
            case "authenticate" if params.get("off_session"):
                code = "authentication_required"
                self._decline(payment, code, code, "Your card was declined. This transaction requires authentication.")
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
            raise unexpected_state(intent, "capture")
        amount = params.get("amount_to_capture", intent["amount_capturable"])
        if amount < 1:
            raise invalid("Invalid positive integer", param="amount_to_capture", code="parameter_invalid_integer")
        check_amount(amount, intent["currency"], smallest=1, param="amount_to_capture")
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
        self._take(charge, payment.source)
        self._tell("charge.captured", charge)
        self._tell("payment_intent.succeeded", intent)
        self._dispute_as_planned(payment)
        return payment

    def cancel_intent(self, payment: Payment, params: dict[str, Any]) -> Payment:
        """Let a payment and its hold go."""
        if payment.intent["status"] in ("succeeded", "canceled", "processing"):
            raise unexpected_state(payment.intent, "cancel")
        self._let_go(payment, params.get("cancellation_reason"))
        return payment

    def find_payment(self, id: str) -> Payment:
        """:raises ApiError: if this account has no such PaymentIntent in this mode."""
        if id not in self.payments:
            raise missing("payment_intent", id, param="intent")
        return self.payments[id]

    # What buyers and banks do

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

    # Showing

    def charges(self) -> list[dict[str, Any]]:
        """Return every charge that took money, oldest first."""
        return [charge for payment in self.payments.values() for charge in payment.charges if charge["captured"]]

    # Inside

    def _refuse_mismatch(self, payment: Payment, params: dict[str, Any]) -> None:
        param = next((name for name in ("payment_method", "confirmation_token") if name in params), None)
        if param is None:
            return
        source = self._source_of(params[param], param=param)
        intent = payment.intent
        kept = self.methods.get(params[param])
        if kept and (kept["customer"] is None or kept["customer"] != intent["customer"]):
            # One that is kept for a customer pays only together with them, and one that was let go of never again. The
            # words are Stripe's; which code comes with them is not documented.
            raise invalid(
                "The customer does not have a payment method with this ID, or it may not be used again.",
                param=param,
            )
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
        payment.source = self._source_of(params[param], param=param)
        payment.method = self.methods.get(params[param]) or self._keep(
            shapes.payment_method(
                payment.source, id=shapes.new_id("pm"), livemode=self.livemode, created=self.clock.now()
            )
        )
        payment.intent["payment_method"] = payment.method["id"]

    def _approve(self, payment: Payment) -> None:
        intent, now = payment.intent, self.clock.now()
        is_hold = intent["capture_method"] == "manual"
        payment.hold_until = now + HOLD_FOR if is_hold else None
        charge = shapes.charge(
            intent, payment.source, created=now, captured=not is_hold, capture_before=payment.hold_until
        )
        payment.charges.append(self._keep(charge))
        if not is_hold:
            self._take(charge, payment.source)
        intent |= {"latest_charge": charge["id"], "last_payment_error": None}
        if intent["setup_future_usage"] and intent["customer"] and payment.method["customer"] is None:
            self._save_method(payment.method, payment.source, intent["customer"])
        if is_hold:
            intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.amount_capturable_updated" if is_hold else "payment_intent.succeeded", intent)
        if not is_hold:
            self._dispute_as_planned(payment)

    def _take(self, charge: dict[str, Any], source: Source) -> None:
        """Book what was taken, less what is kept of it."""
        amount, currency = charge["amount_captured"], charge["currency"]
        move = self._move(
            "payment" if source.is_bank else "charge",
            "charge",
            amount=amount,
            currency=currency,
            source=charge["id"],
            fee=fee_for(converted(amount, currency, self.rates)[0]),
            after=SETTLES_IN,
        )
        charge["balance_transaction"] = move["id"]

    def _dispute_as_planned(self, payment: Payment) -> None:
        if payment.source.dispute:
            reason, inquiry = payment.source.dispute
            self.open_dispute(payment.intent["id"], reason=reason, inquiry=inquiry)

    def _decline(self, payment: Payment, code: str, decline_code: str, message: str) -> None:
        error = self._fail(payment, code=code, decline_code=decline_code, message=message, type="card_error")
        raise ApiError(
            402,
            "card_error",
            message,
            code=code,
            decline_code=decline_code,
            charge=payment.intent["latest_charge"],
            payment_intent=self.show(payment),
            payment_method=error["payment_method"],
        )

    def _fail(self, payment: Payment, *, code: str, message: str, type: str, decline_code: str = "") -> dict[str, Any]:
        intent = payment.intent
        charge = shapes.charge(intent, payment.source, created=self.clock.now(), captured=False)
        charge |= {"paid": False, "status": "failed", "failure_code": code, "failure_message": message}
        payment.charges.append(self._keep(charge))
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

    def _end_debits_and_holds(self) -> None:
        now = self.clock.now()
        for payment in list(self.payments.values()):
            if payment.due_at and payment.due_at <= now and payment.source.code != "never":
                payment.due_at = None
                self._end_debit(payment)
            if payment.hold_until and payment.hold_until <= now:
                self._tell("charge.expired", payment.charges[-1])
                # The documents name both "automatic" and "expired" as Stripe's own reasons, and do not say when which.
                self._let_go(payment, "automatic")


def unexpected_state(intent: dict[str, Any], verb: str) -> ApiError:
    return invalid(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=copy.deepcopy(intent),
    )
