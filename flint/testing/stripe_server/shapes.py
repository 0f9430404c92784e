"""The objects that Stripe answers with, as small templates: the fields of its published samples that anybody reads."""

import secrets
import string
from typing import Any

from flint.testing.stripe_server.sources import Source

LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """Make an id such as Stripe's."""
    return f"{prefix}_{''.join(secrets.choice(LETTERS) for _ in range(24))}"


def payment_intent(*, livemode: bool, created: int, amount: int, currency: str, **fields: Any) -> dict[str, Any]:
    """A PaymentIntent that nothing was tried with yet."""
    id = new_id("pi")
    return {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{id}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": livemode,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"] if currency == "usd" else ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **fields,
    }


def payment_method(source: Source, *, id: str, livemode: bool, created: int) -> dict[str, Any]:
    """What was paid with."""
    return {
        "id": id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "created": created,
        "customer": None,
        "livemode": livemode,
        "metadata": {},
        **source.details,
    }


def charge(
    intent: dict[str, Any], source: Source, *, created: int, captured: bool, capture_before: int | None = None
) -> dict[str, Any]:
    """One try to take or hold a PaymentIntent's money, which the bank agreed to."""
    details = source.details
    if capture_before is not None:
        details["card"]["capture_before"] = capture_before
    return {
        "id": new_id("py" if source.is_bank else "ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "captured": captured,
        "created": created,
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": intent["livemode"],
        "metadata": dict(intent["metadata"]),
        "outcome": {"network_status": "approved_by_network", "reason": None, "type": "authorized"},
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": details,
        "refunded": False,
        "status": "succeeded",
    }


def refund(charge: dict[str, Any], *, created: int, amount: int, status: str, **fields: Any) -> dict[str, Any]:
    """Money on its way back. Stripe does not show the mode on it."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
        **fields,
    }


def event(
    type: str, thing: dict[str, Any], *, created: int, livemode: bool, version: str, account: str = ""
) -> dict[str, Any]:
    """Something that happened, with a picture of the object at that moment."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": version,
        "created": created,
        "data": {"object": thing},
        "livemode": livemode,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
        **({"account": account} if account else {}),
    }


def balance(*, livemode: bool, amounts: dict[str, int]) -> dict[str, Any]:
    """What an account holds, by currency."""
    rows = [{"amount": amount, "currency": currency} for currency, amount in sorted(amounts.items())]
    return {"object": "balance", "available": rows, "pending": [], "livemode": livemode}


def page(url: str, data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A part of a list."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}
