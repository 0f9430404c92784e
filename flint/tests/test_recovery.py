"""Killed workers and a database that goes away, on the whole product: late, never lost, and never twice."""

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from flint import crew
from flint.tests.test_up import Install, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


class Shop:
    """A merchant's server, calling the API over HTTP."""

    def __init__(self, install: Install):
        self.install = install
        self.ready = json.loads(install.home.ready.read_text())

    def call(self, method: str, path: str, body: Any = None) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.install.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": self.ready["api_key"], "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["data"]

    def paid_order(self) -> str:
        line = {"name": "Tea", "quantity": 2, "unit_price_money": {"amount": 450, "currency": "EUR"}}
        order_id = self.call("POST", "/v1/orders", {"line_items": [line]})["order_id"]
        paid = self.call(
            "POST", f"/v1/orders/{order_id}/pay", {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
        )
        assert paid["payment_attempt"]["status"] == "succeeded"
        return order_id

    def refund(self, order_id: str) -> str:
        return self.call("POST", "/v1/refunds", {"order_id": order_id})["refund_id"]

    def is_settled(self, refund_id: str) -> bool:
        try:
            return self.call("GET", f"/v1/refunds/{refund_id}")["status"] == "succeeded"
        except OSError:
            return False

    def assert_given_back_once(self, order_id: str) -> None:
        amounts = self.call("GET", f"/v1/orders/{order_id}")["settlement_amounts"]
        assert {name: money["amount"] for name, money in amounts.items()} == {
            "paid_money": 900,
            "refunded_money": 900,
            "net_collected_money": 0,
            "balance_money": 0,
            "outstanding_money": 0,
            "credit_money": 900,
            "settled_tip_money": 0,
        }
        moved = self.install.run(
            "SELECT m.amount FROM sandbox_sandboxmovement m JOIN sandbox_sandboxpayment p ON p.reference = m.payment_id"
            f" WHERE p.order_id = '{order_id}' AND m.kind = 'refund'"
        )
        assert moved == [(900,)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    install = Install(tmp_path_factory.mktemp("recovery") / "home")
    install.start()
    yield Shop(install)
    install.end(signal.SIGINT)
    crew.clear(install.home, grace=0)
    install.home.database.destroy()


def test_a_worker_killed_in_the_middle_of_a_refund_loses_and_repeats_nothing(shop):
    order_id = shop.paid_order()
    shop.install.run(
        'INSERT INTO sandbox_sandboxfault (environment_id, "on", fault, remaining, options, created_at)'
        f" VALUES ('{shop.ready['environment_id']}', 'refund', 'delay', 1, '{{\"seconds\": 120}}', now())"
    )
    refund_id = shop.refund(order_id)
    until(
        lambda: shop.install.run(f"SELECT 1 FROM sandbox_sandboxrefund WHERE refund_id = '{refund_id}'"),
        "the network has carried the refund out, and the worker waits for the answer",
    )
    assert not shop.is_settled(refund_id)

    os.kill(shop.install.pid_of("flint worker"), signal.SIGKILL)

    until(lambda: shop.is_settled(refund_id), "the refund is settled")
    shop.assert_given_back_once(order_id)


def test_a_database_that_restarts_under_load_loses_nothing(shop):
    """The database is the broker here as well, so this is the broker going away, too."""
    orders = [shop.paid_order() for _ in range(4)]
    refunds = [shop.refund(order_id) for order_id in orders]

    shop.install.home.database.stop()
    shop.install.home.database.start()  # Or whoever looks after it was faster.

    until(lambda: shop.install.get("/readyz") == 200, "ready again")
    # A call cut off on its way is made again after ten minutes, when it can no longer arrive. Let them have passed.
    shop.install.run(
        "UPDATE refunds_refundleg SET sent_at = sent_at - interval '11 minutes', next_check_at = now()"
        " WHERE status = 'pending' AND sent_at IS NOT NULL"
    )
    for order_id, refund_id in zip(orders, refunds, strict=True):
        until(lambda refund_id=refund_id: shop.is_settled(refund_id), "the refund is settled")
        shop.assert_given_back_once(order_id)
