"""The stand-in for Stripe as a test's network: its account, its dashboard, its clock and its events."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Timer
from typing import Any

from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.processors.base import Network, Post
from flint.testing.stripe_server.errors import ApiError
from flint.testing.stripe_server.server import Account, StripeServer
from flint.testing.stripe_server.webhooks import body_of, sign
from payments.processors.sandbox.effects import Effect, Effects
from payments.processors.sandbox.network import SLOW_RAIL
from payments.processors.stripe import accounts

WEBHOOK_SECRET = "whsec_of_the_stand_in"

ON = {"retrieve": "ask", "list": "ask"}
"""What a fault of the sandbox's words is planned on here, where it is called otherwise."""

DECLINES = {"card_declined", "expired_card", "incorrect_cvc", "insufficient_funds", "processing_error"}
REFUSALS = {
    "invalid_state": "payment_intent_unexpected_state",
    "insufficient_available_balance": "balance_insufficient",
}


def connect(environment: Environment, server: StripeServer, account: Account | None = None) -> "StripeNetwork":
    """Have an environment collect through an account of the stand-in, one of its own unless one is given."""
    if account is None:
        account = server.open_account()
    accounts.connect(
        environment_id=environment.id,
        secret_key=server.secret_key if account is server.account else server.new_key(account),
        publishable_key=server.publishable_key,
        webhook_secret=WEBHOOK_SECRET,
        api_base=server.url,
    )
    account.webhooks.add_endpoint(f"http://testserver/notices/stripe/{environment.id}", WEBHOOK_SECRET)
    server.calls.clear()
    environment.refresh_from_db()
    return StripeNetwork(environment.id, server, account)


class StripeNetwork(Network):
    """One account of the stand-in."""

    name = "stripe"
    calls = ("any",)

    def __init__(self, environment_id: str, server: StripeServer, account: Account):
        super().__init__(environment_id)
        self.server, self.account, self.book, self.webhooks = server, account, account.book, account.webhooks
        self.book.slow_rail = int(SLOW_RAIL.total_seconds())
        self.planned: list[tuple[str, int | None]] = []

    def effects(self, *, payment_intent_id: str | None = None, order_id: str | None = None) -> Effects:
        with self.book.lock:
            moved = Effects(_movements(self.webhooks.events, self.book))
            assert _net(moved) == _kept(self.book), "the stand-in's events and its book tell different stories"
        return Effects(
            effect
            for effect in moved
            if payment_intent_id in (None, effect.payment_intent_id) and order_id in (None, effect.order_id)
        )

    def keys(self) -> list[str]:
        return [key for (_, key), entry in self.server.memory.entries.items() if entry.answer is not None]

    def forget_keys(self, at: datetime) -> None:
        self.moment(at)

    def plan(self, *, on: str, fault: str, times: int | None = 1, **options: Any) -> None:
        if on == "notice":
            self.planned.append((fault, times))
            return
        on = ON.get(on, on)
        match fault:
            case "lose_answer":
                self.server.faults.plan(on=on, fault="lose_answer", times=times)
            case "never_executed":
                self.server.faults.plan(on=on, fault="drop", times=times)
            case "unreachable":
                self.server.faults.plan(on=on, fault="error", times=times, status=429, code="rate_limit")
            case "refuse":
                code = options.get("code", "processing_error")
                is_decline = code in DECLINES
                error = {"status": 402, "type": "card_error"} if is_decline else {"status": 400}
                self.server.faults.plan(on=on, fault="error", times=times, code=REFUSALS.get(code, code), **error)
            case "delay":
                slow = self.server.faults.plan(on=on, fault="slow", times=times)
                Timer(options.get("seconds", 1), slow.gate.set).start()
            case _:
                raise ValueError(f"{fault} cannot happen on {on}")

    def clear(self) -> None:
        self.planned.clear()
        self.server.faults.clear()

    def authenticate(self, client_secret: str, *, passed: bool) -> None:
        with self.book.lock:
            self.book.authenticate(client_secret.partition("_secret_")[0], passed=passed)

    def pay_with_another_card(self, reference: str) -> None:
        with self.book.lock:
            self.book.confirm_intent(self.book.find_payment(reference), {"payment_method": "pm_card_visa"})

    def hand_in_card(self, client_secret: str, token: str, *, passed: bool) -> None:
        setup = client_secret.partition("_secret_")[0]
        with self.book.lock:
            # What the bank says no to shows in the setup.
            with suppress(ApiError):
                self.book.confirm_setup(self.book.find_setup(setup), {"payment_method": token})
            self.book.authenticate_setup(setup, passed=passed)

    def charge(self, money: Money, *, payment_intent_id: str = "") -> str:
        metadata = {"flint_payment_intent_id": payment_intent_id} if payment_intent_id else {}
        with self.book.lock:
            made = self.book.create_intent(
                {
                    "amount": money.amount,
                    "currency": money.currency.lower(),
                    "payment_method": "pm_card_visa",
                    "confirm": True,
                    "metadata": metadata,
                }
            )
        return made.intent["id"]

    def capture(self, reference: str, money: Money) -> None:
        with self.book.lock:
            self.book.capture_intent(self.book.find_payment(reference), {"amount_to_capture": money.amount})

    def cancel(self, reference: str, *, reason: str = "requested_by_customer") -> None:
        with self.book.lock:
            self.book.cancel_intent(self.book.find_payment(reference), {"cancellation_reason": reason})

    def refund(self, reference: str, money: Money, *, operation_id: str = "") -> str:
        metadata = {"flint_operation_id": operation_id} if operation_id else {}
        with self.book.lock:
            made = self.book.create_refund({"payment_intent": reference, "amount": money.amount, "metadata": metadata})
        return made["id"]

    def moment(self, at: datetime) -> datetime:
        clock = self.server.clock
        clock.ahead = max(clock.ahead, at.timestamp() - time.time())
        return datetime.fromtimestamp(clock.now(), UTC)

    def advance(self, at: datetime) -> None:
        self.moment(at)
        with self.book.lock:
            self.book.pass_time()

    def deliver(self, at: datetime, post: Post) -> None:
        if [fault for fault, times in self.planned if fault == "reorder" and times != 0]:
            self.webhooks.waiting.reverse()
        self.webhooks.deliver(lambda *letter: self._through_misfortune(post, letter))

    def send_each(self, at: datetime, post: Post, arranged: Callable[[list], list]) -> int:
        told = list(self.webhooks.events)
        for event in arranged(told):
            body = body_of(event)
            headers = {"Stripe-Signature": sign(body, [WEBHOOK_SECRET], int(at.timestamp()))}
            url = f"http://testserver/notices/stripe/{self.environment_id}"
            assert post(url, body, headers) == 200
        self.webhooks.waiting.clear()
        return len(told)

    def drop_notices(self) -> None:
        self.webhooks.waiting.clear()

    def tell(self, reference: str, status: str, *, at: datetime | None = None) -> None:
        type = {"failed": "payment_failed"}.get(status, status)
        with self.book.lock:
            self.webhooks.emit(f"payment_intent.{type}", self.book.show(self.book.find_payment(reference)))

    def _through_misfortune(self, post: Post, letter: tuple[str, bytes, dict[str, str]]) -> int:
        match self._take():
            case "drop":
                return 200  # Stripe believes that it was heard.
            case "unreachable" | "delay":
                return 0
            case "lose_answer":
                post(*letter)
                return 0
            case "duplicate":
                post(*letter)
        return post(*letter)

    def _take(self) -> str:
        for position, (fault, times) in enumerate(self.planned):
            if times != 0:
                self.planned[position] = (fault, None if times is None else times - 1)
                return fault
        return ""


def _movements(events: Iterable[dict[str, Any]], book: Any) -> Iterable[Effect]:
    """Read what moved from what the account told, each movement where it happened."""
    charges = {charge["id"]: charge for payment in book.payments.values() for charge in payment.charges}
    given: set[str] = set()
    for event in events:
        thing = event["data"]["object"]
        match event["type"]:
            case "charge.succeeded":
                kind = "charge" if thing["captured"] else "authorization"
                yield _effect(kind, thing["amount"], thing)
            case "charge.captured":
                yield _effect("charge", thing["amount_captured"], thing)
                if rest := thing["amount"] - thing["amount_captured"]:
                    yield _effect("release", rest, thing)
            case "payment_intent.canceled":
                held = charges.get(thing["latest_charge"])
                if held and held["paid"] and not held["captured"]:
                    yield _effect("release", held["amount"], held)
            case "refund.created" | "refund.updated" if thing["status"] == "succeeded" and thing["id"] not in given:
                given.add(thing["id"])
                yield _effect("refund", thing["amount"], charges[thing["charge"]])
            case "refund.failed" if thing["id"] in given:
                given.remove(thing["id"])
                yield _effect("refund_failed", thing["amount"], charges[thing["charge"]])


def _effect(kind: str, amount: int, charge: dict[str, Any]) -> Effect:
    # Stripe copies a payment's metadata to its charge when that is made.
    return Effect(
        kind=kind,
        amount=amount,
        currency=charge["currency"].upper(),
        payment_reference=charge["payment_intent"],
        payment_intent_id=charge["metadata"].get("flint_payment_intent_id", ""),
        order_id=charge["metadata"].get("flint_order_id", ""),
    )


def _net(moved: Effects) -> int:
    sign = {"charge": 1, "refund": -1, "refund_failed": 1}
    return sum(sign.get(effect.kind, 0) * effect.amount for effect in moved)


def _kept(book: Any) -> int:
    """Return what the book itself says is left with the merchant."""
    taken = sum(charge["amount_captured"] for charge in book.charges())
    return taken - sum(refund["amount"] for refund in book.refunds.values() if refund["status"] == "succeeded")
