"""
The server part of a shop that takes payments on its own page. It talks to Flint over HTTP and nothing else.

The API key stays here, and so does the buyer's credential: the browser only ever sees what it needs to collect a card
and to take the buyer through the bank's question.
"""

import uuid

import httpx

PRICE = {"amount": 1800, "currency": "EUR"}


class Shop:
    def __init__(self, base_url: str, api_key: str):
        self.http = httpx.Client(base_url=base_url, timeout=30)
        self.as_merchant = {"X-API-Key": api_key}

    def check_out(self, page_url: str) -> dict:
        """Make an order and an embedded checkout session. Keep what this returns with the buyer's own session."""
        order = self._call(
            "POST",
            "/v1/orders",
            {"line_items": [{"name": "Canvas tote bag", "quantity": 1, "unit_price_money": PRICE}]},
            self.as_merchant,
        )
        launched = self._call(
            "POST",
            "/v1/checkout-sessions",
            {
                "order_id": order["order_id"],
                "surface": "embedded",
                # Where the bank's own pages lead back to.
                "redirects": {"success_redirect_url": page_url},
            },
            self.as_merchant,
        )
        return {
            "order_id": order["order_id"],
            "session_id": launched["checkout_session"]["checkout_session_id"],
            "secret": launched["checkout_access"]["checkout_auth_token"],
        }

    def read(self, checkout: dict) -> dict:
        """Return what the page shows: the order as the buyer may see it, and how to collect for it."""
        order = self._call("GET", f"/v1/orders/{checkout['order_id']}", None, self._as_buyer(checkout))
        attempt = order.get("active_payment_attempt")
        return self._shown(order, attempt)

    def pay(self, checkout: dict, confirmation_token: str, seen_money: dict, key: str) -> dict:
        """
        Pay everything that is outstanding. ``key`` names the wish: repeated with it, nothing is paid twice.

        ``seen_money`` is what the buyer saw. Should the order have changed, nothing is charged.
        """
        body = {
            "action": "pay",
            "expected_outstanding_money": seen_money,
            "payment_source": {"confirmation_token": confirmation_token},
        }
        return self._pay(checkout, body, key)

    def resume(self, checkout: dict) -> dict:
        """Learn what came of the bank's question. May be repeated: the attempt tells, not how we came back."""
        order = self._call("GET", f"/v1/orders/{checkout['order_id']}", None, self._as_buyer(checkout))
        attempt = order.get("active_payment_attempt")
        if attempt is None:
            return self._shown(order, None)
        body = {"action": "resume", "order_payment_attempt_id": attempt["order_payment_attempt_id"]}
        return self._pay(checkout, body, str(uuid.uuid4()))

    def _pay(self, checkout: dict, body: dict, key: str) -> dict:
        headers = self._as_buyer(checkout) | {"Idempotency-Key": key}
        paid = self._call("POST", f"/v1/orders/{checkout['order_id']}/pay", body, headers)
        return self._shown(paid["order"], paid.get("payment_attempt"))

    def _as_buyer(self, checkout: dict) -> dict:
        return {
            "X-Checkout-Session-ID": checkout["session_id"],
            "X-Checkout-Session-Secret": checkout["secret"],
        }

    def _call(self, method: str, path: str, body: dict | None, headers: dict) -> dict:
        answer = self.http.request(method, path, json=body, headers=headers)
        content = answer.json()
        if answer.is_error:
            raise Refused(answer.status_code, content["error"])
        return content["data"]

    def _shown(self, order: dict, attempt: dict | None) -> dict:
        """Pick what the browser needs. A leg tells why it was declined; a pending action what the buyer has to do."""
        declined = None
        action = None
        if attempt:
            errors = [leg.get("last_payment_error") for leg in attempt.get("payment_intents", [])]
            declined = next((error for error in errors if error), None) if attempt["status"] == "failed" else None
            action = next(iter(attempt.get("pending_actions", [])), None)
        return {
            "payment_status": order["payment_status"],
            "outstanding_money": order["settlement_amounts"]["outstanding_money"],
            "payment_collection": order.get("payment_collection"),
            "attempt_status": attempt and attempt["status"],
            "declined": declined,
            "client_action": action and action["client_action"],
        }


class Refused(Exception):
    """Flint said no: the code says why."""

    def __init__(self, status: int, error: dict):
        super().__init__(error["code"])
        self.status, self.error = status, error
