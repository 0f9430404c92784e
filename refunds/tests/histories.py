"""Random histories of an order, told through the API, with what the API answered after each step."""

import random
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from django.db import connection

from flint.testing.client import ApiClient
from flint.testing.processors import network_of
from flint.testing.stories import settled
from orders.models import Order
from orders.tests.sales import fee, flat_tax, line, money, percentage, taxed
from payments.tests.acts import DEBIT, DECLINED, THREE_D_SECURE, VISA, going_wrong

FOR_NOW = ("payment_collection",)
FOR_NOW_IN_ATTEMPT = ("pending_actions",)
"""What an answer holds that is for doing now, and so is no part of how an order stood."""


def clock() -> datetime:
    """The database's own time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def stood(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what is for doing now."""
    kept = {name: value for name, value in answer.items() if name not in FOR_NOW}
    if attempt := kept.get("active_payment_attempt"):
        emptied = {name: [] for name in FOR_NOW_IN_ATTEMPT}
        kept["active_payment_attempt"] = attempt | emptied
    return kept


class History:
    """One order, and what is done to it. A step may be refused; the order is read after it all the same."""

    def __init__(self, api: ApiClient, seed: int):
        self.api, self.random = api, random.Random(seed)
        self.answers: list[tuple[datetime, dict[str, Any]]] = []
        self.done: list[str] = []
        with settled():
            made = api.post("/v1/orders", self._cart())
        assert made.status_code == 201, made.content
        self.id = made.data["order_id"]
        self._read()

    def go(self, steps: int) -> "History":
        """Do some things."""
        for _ in range(steps):
            act = self.random.choice(ACTS)
            with settled():
                answer = act(self)
            if answer is not None and answer.status_code < 300:
                self.done.append(act.__name__)
            self._read()
        return self

    @property
    def order(self) -> dict[str, Any]:
        return self.answers[-1][1]

    def read(self, **query: Any) -> dict[str, Any]:
        return self.api.get(f"/v1/orders/{self.id}", {"expand": "payment_intents", **query})

    def _read(self) -> None:
        answer = self.read().data
        self.answers.append((clock(), answer))

    def _post(self, path: str, body: Any) -> Any:
        return self.api.post(f"/v1/orders/{self.id}/{path}", body)

    def _amount(self, most: int = 3_000) -> int:
        return self.random.randint(1, most)

    def _line(self) -> dict[str, Any]:
        more: dict[str, Any] = {"quantity": self.random.randint(1, 4)}
        if self.random.random() < 0.5:
            percents = self.random.sample([7, 8.875, 10.75, 19], self.random.randint(1, 2))
            more["tax"] = taxed(*percents, price_mode=self.random.choice(["additive", "inclusive"]))
        return line(self._amount(), **more)

    def _cart(self) -> dict[str, Any]:
        cart: dict[str, Any] = {"line_items": [self._line() for _ in range(self.random.randint(1, 3))]}
        if self.random.random() < 0.4:
            cart["discounts"] = [{"manual": {"name": "Off", "amount_money": money(self._amount(500))}}]
        if self.random.random() < 0.4:
            cart["requested_tip"] = self._tip()
        if self.random.random() < 0.3:
            cart["tax"] = flat_tax(self._amount(200))
        return cart

    def _tip(self) -> dict[str, Any]:
        return self.random.choice([{"amount_money": money(self._amount(400))}, {"percent": 12.5}])

    # What may be done

    def add_line(self) -> Any:
        return self._post("line-items", {"line_items": [self._line()]})

    def change_line(self) -> Any:
        found = self.random.choice(self.order["line_items"])
        change = self.random.choice([{"quantity": self.random.randint(1, 5)}, {"name": "Bowl"}])
        return self.api.patch(f"/v1/orders/{self.id}/line-items/{found['order_line_item_id']}", change)

    def remove_line(self) -> Any:
        found = self.random.choice(self.order["line_items"])
        return self.api.delete(f"/v1/orders/{self.id}/line-items/{found['order_line_item_id']}")

    def add_charge(self) -> Any:
        return self._post("charges", {"charge": self.random.choice([fee(self._amount(500)), percentage(3.5)])})

    def remove_charge(self) -> Any:
        if not self.order["charges"]:
            return None
        found = self.random.choice(self.order["charges"])
        return self.api.delete(f"/v1/orders/{self.id}/charges/{found['order_charge_id']}")

    def discount(self) -> Any:
        return self._post("discounts", {"manual": {"name": "Gift", "amount_money": money(self._amount(700))}})

    def tip(self) -> Any:
        return self.api.patch(f"/v1/orders/{self.id}", {"requested_tip": self._tip()})

    def note(self) -> Any:
        change = {"buyer_note": "Ring twice", "metadata": {"shelf": str(self._amount())}}
        return self.api.patch(f"/v1/orders/{self.id}", change)

    def open_checkout(self) -> Any:
        return self.api.post("/v1/checkout-sessions", {"order_id": self.id})

    def pay(self, token: str = VISA) -> Any:
        return self._post("pay", {"action": "pay", "payment_source": {"token": token}})

    def decline(self) -> Any:
        return self.pay(DECLINED)

    def debit(self) -> Any:
        return self.pay(DEBIT)

    def ask_buyer(self) -> Any:
        return self.pay(THREE_D_SECURE)

    def lose_answer(self) -> Any:
        with going_wrong(Order.objects.get(id=self.id), on="confirm", fault="lose_answer"):
            return self.pay()

    def resume(self) -> Any:
        attempt = self.order.get("active_payment_attempt")
        if not attempt:
            return None
        for action in attempt["pending_actions"]:
            secret = action["client_action"]["stripe"]["payment_intent"]["client_secret"]
            network_of(self.api.environment).authenticate(secret, passed=self.random.random() < 0.6)
        body = {"action": "resume", "order_payment_attempt_id": attempt["order_payment_attempt_id"]}
        return self._post("pay", body)

    def hold(self) -> Any:
        staged = self._post("payment-intents", {"capture_method": "manual"})
        if staged.error:
            return staged
        leg = staged.data["payment_intent"]["payment_intent_id"]
        chosen = [{"payment_intent_id": leg, "token": VISA}]
        return self._post("pay", {"action": "confirm_payment_intents", "payment_intents": chosen})

    def capture(self) -> Any:
        return self._on_hold("capture")

    def let_go(self) -> Any:
        return self._on_hold("cancel")

    def _on_hold(self, verb: str) -> Any:
        attempt = self.order.get("active_payment_attempt")
        if not attempt or attempt["status"] != "requires_capture":
            return None
        leg = attempt["payment_intents"][0]["payment_intent_id"]
        body = {"order_payment_attempt_id": attempt["order_payment_attempt_id"]}
        return self._post(f"payment-intents/{leg}/{verb}", body)

    def refund(self, trouble: Any = None) -> Any:
        left = self.order["settlement_amounts"]["net_collected_money"]["amount"]
        if not left:
            return None
        body: dict[str, Any] = {"order_id": self.id}
        if left > 1 and self.random.random() < 0.7:
            body["amount_money"] = money(self.random.randint(1, left))
        with trouble or nullcontext(), settled():
            return self.api.post("/v1/refunds", body)

    def fail_to_refund(self) -> Any:
        order = Order.objects.get(id=self.id)
        return self.refund(going_wrong(order, on="refund", fault="refuse", code="insufficient_available_balance"))

    def close(self) -> Any:
        return self._post("close", {"reason_message": "Over"}) if self.random.random() < 0.5 else None


H = History
EDITS = (H.add_line, H.change_line, H.remove_line, H.add_charge, H.remove_charge, H.discount, H.tip, H.note)
PAYMENTS = (H.pay, H.decline, H.debit, H.ask_buyer, H.lose_answer, H.hold, H.open_checkout)
ENDINGS = (H.resume, H.capture, H.let_go, H.refund, H.fail_to_refund, H.close)
ACTS: tuple[Callable[[History], Any], ...] = (*EDITS, *PAYMENTS, *ENDINGS, H.pay, H.resume, H.capture, H.refund)
