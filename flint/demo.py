"""
A whole sale over HTTP, step by step, every amount checked against what it must be: what `manage.py demo` plays.

Knows nothing but the public contract, so it plays as well against an installation on another machine.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from flint.home import Home
from flint.money import Money

PATIENCE_SECONDS = 30
START_SECONDS = 90
STOP_SECONDS = 60
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CURRENCY = "USD"
NEW_YORK = {"code": "US-NY-NYC", "country": "US", "level": "city", "name": "New York City", "state": "NY"}
SALES_TAX = {
    "calculation": {
        "mode": "external",
        "price_mode": "additive",
        "components": [{"jurisdiction": NEW_YORK, "percent": 8.875, "tax_type": "sales_tax"}],
    }
}


class CannotPlay(Exception):
    """There is nothing to play against; the message says why."""


class Differs(Exception):
    """Something was not as it must be; the message says what was expected and what was found."""


class Place(NamedTuple):
    """An installation and a key to it."""

    base_url: str
    api_key: str


# What everything must come to, worked out by hand. Amounts in cents.

ESPRESSO, CUP, FILTERS = 4_900, 1_800, 1_470
ESPRESSO_TAX, CUP_TAX = 435, 160  # 8.875 % of each: 434.875 and 159.75, half up.
FIRST_TOTAL = ESPRESSO + CUP + ESPRESSO_TAX + CUP_TAX
TOTAL = FIRST_TOTAL + FILTERS
BACK = CUP + CUP_TAX

HISTORY = [
    ("created", FIRST_TOTAL, FIRST_TOTAL),
    ("line_item_added", FILTERS, TOTAL),
    ("payment_failed", 0, TOTAL),
    ("payment", -TOTAL, 0),
    ("refund", 0, 0),
]
"""Activity, delta, running balance, of everything but what only informs."""


class Demo:
    """One sale. :meth:`play` goes through it and returns whether all was as it must be."""

    def __init__(self, place: Place, *, say: Callable[[str], None], transport: httpx.BaseTransport | None = None):
        self.say = say
        self.place = place
        self.http = httpx.Client(
            base_url=place.base_url,
            timeout=20,
            headers={"Authorization": f"Bearer {place.api_key}"},
            # A proxy is for addresses far away.
            trust_env=urlsplit(place.base_url).hostname not in LOOPBACK,
            transport=transport,
        )
        self.order: dict[str, Any] = {}
        self.attempt: dict[str, Any] = {}
        self.refund: dict[str, Any] = {}

    def play(self) -> bool:
        """Play every step, up to the first that differs."""
        steps = [
            ("Create an order: 2 × espresso, 1 × cup, 8.875 % sales tax", self.create),
            ("Add a line: 3 × filters, no tax", self.add_line),
            ("Pay with a card that is declined", self.be_declined),
            ("Pay with a card that asks for 3-D Secure", self.begin_payment),
            ("Pass 3-D Secure, as the buyer would, and resume", self.finish_payment),
            ("Refund the cup, with its tax", self.refund_cup),
            ("Send the same refund again, as after a lost answer", self.repeat_refund),
            ("Read the order's history", self.read_history),
        ]
        self.say(f"\nA sale at {self.place.base_url}\n\n")
        with self.http:
            for number, (title, step) in enumerate(steps, start=1):
                try:
                    found = step()
                except (Differs, httpx.HTTPError) as problem:
                    what = str(problem) or type(problem).__name__
                    self.say(f"  {number}  {title}\n     differs: {what}")
                    self.say(f"\nFAIL: step {number} of {len(steps)} is not as expected, order {self.order_id}")
                    return False
                self.say(f"  {number}  {title}\n     {found}")
        self.say(f"\nPASS: {len(steps)} of {len(steps)} steps, every amount as expected, order {self.order_id}")
        return True

    # The steps. Each returns what there is to tell.

    def create(self) -> str:
        lines = [
            {"name": "House espresso, 1 kg", "quantity": 2, "unit_price_money": wire(2_450), "tax": SALES_TAX},
            {"name": "Stoneware cup", "quantity": 1, "unit_price_money": wire(CUP), "tax": SALES_TAX},
        ]
        self.order = self.call("POST", "/v1/orders", {"line_items": lines}, status=201)
        line_amounts = {line["name"]: (line["tax_money"], line["total_money"]) for line in self.order["line_items"]}
        same(
            "the lines' tax and total",
            line_amounts,
            {
                "House espresso, 1 kg": (wire(ESPRESSO_TAX), wire(ESPRESSO + ESPRESSO_TAX)),
                "Stoneware cup": (wire(CUP_TAX), wire(BACK)),
            },
        )
        self.check_order(total=FIRST_TOTAL, tax=ESPRESSO_TAX + CUP_TAX)
        return f"{self.order_id} is worth {text(FIRST_TOTAL)}, {text(ESPRESSO_TAX + CUP_TAX)} of it tax"

    def add_line(self) -> str:
        lines = [{"name": "Paper filters, 100", "quantity": 3, "unit_price_money": wire(490)}]
        self.order = self.call("POST", f"{self.path}/line-items", {"line_items": lines})
        self.check_order()
        return f"now {text(TOTAL)}, all of it outstanding"

    def be_declined(self) -> str:
        self.pay({"action": "pay", "payment_source": {"token": "pm_card_chargeDeclined"}})
        same("the attempt's status", self.attempt["status"], "failed")
        same("the reason", self.attempt["payment_intents"][0]["last_payment_error"]["code"], "card_declined")
        self.check_order()
        return f"{self.attempt['order_payment_attempt_id']} failed (card_declined); {text(TOTAL)} still outstanding"

    def begin_payment(self) -> str:
        expected = {"expected_outstanding_money": wire(TOTAL)}
        self.pay({"action": "pay", "payment_source": {"token": "pm_card_threeDSecure2Required"}, **expected})
        same("the attempt's status", self.attempt["status"], "requires_action")
        same("the number of steps for the buyer", len(self.attempt["pending_actions"]), 1)
        self.check_order()
        return f"{self.attempt['order_payment_attempt_id']} waits for the buyer; nothing was taken yet"

    def finish_payment(self) -> str:
        page = self.attempt["pending_actions"][0]["client_action"]["redirect_url"]
        attempt_id = self.attempt["order_payment_attempt_id"]
        # The buyer has no key of the merchant's.
        with httpx.Client(timeout=20, trust_env=self.http.trust_env) as browser:
            answer = browser.post(f"{page}/complete", data={"outcome": "pass"})
        same("the 3-D Secure page's answer", answer.status_code, 200)
        self.pay({"action": "resume", "order_payment_attempt_id": attempt_id})
        same("the attempt", self.attempt["order_payment_attempt_id"], attempt_id)
        same("the attempt's status", self.attempt["status"], "succeeded")
        self.check_order(paid=TOTAL)
        return f"{text(TOTAL)} paid, nothing outstanding"

    def refund_cup(self) -> str:
        cup = next(line for line in self.order["line_items"] if line["name"] == "Stoneware cup")
        self.refund_key = str(uuid.uuid4())
        self.refund_body = {
            "order_id": self.order_id,
            "line_items": [{"order_line_item_id": cup["order_line_item_id"]}],
            "reason": "customer_changed_mind",
        }
        self.refund = self.call("POST", "/v1/refunds", self.refund_body, status=201, key=self.refund_key)
        same("the refund's amount", self.refund["amount_money"], wire(BACK))
        path = f"/v1/refunds/{self.refund['refund_id']}"
        begun = time.monotonic()
        while self.refund["status"] == "pending" and time.monotonic() - begun < PATIENCE_SECONDS:
            time.sleep(0.2)
            self.refund = self.call("GET", path)
        same("the refund's status", self.refund["status"], "succeeded")
        self.read_order()
        self.check_order(paid=TOTAL, refunded=BACK)
        return f"{self.refund['refund_id']}: {text(BACK)} back to the card; {text(TOTAL - BACK)} kept, nothing owed"

    def repeat_refund(self) -> str:
        again = self.call("POST", "/v1/refunds", self.refund_body, status=201, key=self.refund_key)
        same("the refund", again["refund_id"], self.refund["refund_id"])
        self.read_order()
        self.check_order(paid=TOTAL, refunded=BACK)
        return "the same refund comes back; no more money moved"

    def read_history(self) -> str:
        rows = self.call("GET", f"{self.path}/activities?sort_direction=asc&page_size=100")
        self.say("")
        for line in table(rows):
            self.say(f"     {line}")
        self.say("")
        told = [
            (row["activity_type"], row["balance_delta_money"]["amount"], row["running_balance_money"]["amount"])
            for row in rows
            if "activity_type" in row
        ]
        same("the history (activity, delta, running balance)", told, HISTORY)
        balance = 0
        for row in rows:
            balance += row["balance_delta_money"]["amount"]
            same(f"the running balance after '{row['description']}'", row["running_balance_money"], wire(balance))
        self.read_order()
        same("the order's balance", self.order["settlement_amounts"]["balance_money"], wire(balance))
        return f"{len(rows)} entries; the running balance ends at {text(balance)}, and so does the order"

    # What the steps are made of.

    @property
    def order_id(self) -> str:
        return self.order.get("order_id", "(none)")

    @property
    def path(self) -> str:
        return f"/v1/orders/{self.order_id}"

    def call(self, method: str, path: str, body: dict | None = None, *, status: int = 200, key: str = "") -> Any:
        """Make a call and return the answer's data; any status but the expected one differs."""
        headers = {} if method == "GET" else {"Idempotency-Key": key or str(uuid.uuid4())}
        response = self.http.request(method, path, json=body, headers=headers)
        if response.status_code != status:
            raise Differs(f"{method} {path} answered {response.status_code}, expected {status}: {response.text[:400]}")
        try:
            return response.json()["data"]
        except (ValueError, KeyError, TypeError):
            raise Differs(f"{method} {path} answered without 'data': {response.text[:400]}") from None

    def pay(self, body: dict[str, Any]) -> None:
        paid = self.call("POST", f"{self.path}/pay", body)
        self.order, self.attempt = paid["order"], paid["payment_attempt"]

    def read_order(self) -> None:
        self.order = self.call("GET", self.path)

    def check_order(
        self, *, total: int = TOTAL, tax: int = ESPRESSO_TAX + CUP_TAX, paid: int = 0, refunded: int = 0
    ) -> None:
        """Compare every amount and status of the order. What went back is no longer owed."""
        pricing = {
            "subtotal_money": total - tax,
            "discount_money": 0,
            "charge_money": 0,
            "requested_tip_money": 0,
            "tax_money": tax,
            "total_money": total,
        }
        balance = (total - refunded) - (paid - refunded)
        settlement = {
            "paid_money": paid,
            "refunded_money": refunded,
            "net_collected_money": paid - refunded,
            "balance_money": balance,
            "outstanding_money": max(balance, 0),
            "credit_money": refunded,
            "settled_tip_money": 0,
        }
        for group, expected in (("pricing_amounts", pricing), ("settlement_amounts", settlement)):
            for name, amount in expected.items():
                same(f"{group}.{name}", self.order[group].get(name), wire(amount))
        same("status", self.order["status"], "open")
        same("payment_status", self.order["payment_status"], "paid" if paid else "unpaid")
        same("refund_status", self.order["refund_status"], "partially_refunded" if refunded else "none")


def same(what: str, found: Any, expected: Any) -> None:
    """:raises Differs: unless found and expected are equal."""
    if found != expected:
        raise Differs(f"{what}: expected {readable(expected)}, found {readable(found)}")


def wire(amount: int) -> dict[str, Any]:
    """Cents, as they go over the wire."""
    return {"amount": amount, "currency": CURRENCY}


def text(amount: int) -> str:
    """Cents, for people."""
    return Money(amount, CURRENCY).text()


def readable(value: Any) -> str:
    """Money as people write it, anything else as it is."""
    if isinstance(value, dict) and set(value) == {"amount", "currency"} and isinstance(value["amount"], int):
        return Money(**value).text()
    return repr(value)


REFERENCES = ("payment_intent_id", "refund_id", "order_line_item_id", "order_charge_id", "order_discount_id")


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lay an order's history out in columns, oldest first."""
    heads = ("no", "time (UTC)", "what", "reference", "change", "balance")
    cells = [
        (
            str(number),
            row.get("created_at", "")[11:19],
            row["description"],
            next((row[name] for name in REFERENCES if name in row), ""),
            readable(row["balance_delta_money"]) if row["balance_delta_money"]["amount"] else "",
            readable(row["running_balance_money"]),
        )
        for number, row in enumerate(rows, start=1)
    ]
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    to_the_right = {0, 4, 5}
    for row in [heads, tuple("─" * width for width in widths), *cells]:
        yield "  ".join(
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


# Where to play


def prepare_environment() -> None:
    """Let the settings load on a machine where nothing was set up: this command signs nothing and serves nobody."""
    os.environ.setdefault("FLINT_SECRET_KEY", secrets.token_urlsafe(50))
    os.environ.setdefault("FLINT_HOSTS", "localhost")


def running_on(home: Home) -> Place | None:
    """Return the installation that says it is ready on a data folder, if it answers."""
    with contextlib.suppress(OSError, httpx.HTTPError, ValueError, KeyError, TypeError):
        ready = json.loads(home.ready.read_text())
        place = Place(ready["base_url"], ready["api_key"])
        if httpx.get(f"{place.base_url}/readyz", timeout=10, trust_env=False).status_code == 200:
            return place
    return None


@contextmanager
def started() -> Iterator[Place]:
    """
    Run `manage.py up` on a folder of its own while the block runs; then stop it and delete all of it.

    :raises CannotPlay: if it does not get ready; with what it said.
    """
    # Nothing of the caller's may leak in: not a database, not a broker, not a key.
    ours = ("FLINT_", "DATABASE_", "REDIS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    manage = Path(__file__).resolve().parent.parent / "manage.py"
    with tempfile.TemporaryDirectory(prefix="flint-demo-") as folder, Path(folder, "up.log").open("w+b") as output:
        home = Home(Path(folder) / "data")
        up = subprocess.Popen(
            [sys.executable, str(manage), "up", "--port", "0", "--data", str(home.path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            # Ctrl-C in the terminal is for us; we pass it on once.
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while (place := running_on(home)) is None:
                if up.poll() is not None or time.monotonic() > deadline:
                    raise CannotPlay(f"`manage.py up` did not get ready:\n{_end_of(output)}")
                time.sleep(0.1)
            yield place
        finally:
            up.send_signal(signal.SIGINT)
            try:
                up.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                up.kill()
                up.wait()


def _end_of(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")[-2000:]
