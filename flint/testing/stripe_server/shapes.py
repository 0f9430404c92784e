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
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
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


def customer(*, livemode: bool, created: int, **fields: Any) -> dict[str, Any]:
    """Somebody that payment methods are kept for."""
    return {
        "id": new_id("cus"),
        "object": "customer",
        "created": created,
        "default_source": None,
        "description": None,
        "email": None,
        "livemode": livemode,
        "metadata": {},
        "name": None,
        **fields,
    }


def setup_intent(*, livemode: bool, created: int, **fields: Any) -> dict[str, Any]:
    """A payment method on its way to being kept."""
    id = new_id("seti")
    return {
        "id": id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{id}_secret_{secrets.token_hex(12)}",
        "created": created,
        "description": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": livemode,
        "mandate": None,
        "next_action": None,
        "payment_method": None,
        "payment_method_options": {},
        "status": "requires_payment_method",
        **fields,
    }


def dispute(
    charge: dict[str, Any], *, created: int, case_type: str, due_by: int, is_bank: bool, **fields: Any
) -> dict[str, Any]:
    """A claim of a buyer's bank. Stripe shows details of the card only, and none for a bank debit."""
    card = {"brand": "visa", "case_type": case_type, "network": "visa", "network_reason_code": "10.4"}
    return {
        "id": new_id("du"),
        "object": "dispute",
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": due_by,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": None if is_bank else {"card": card, "type": "card"},
        **fields,
    }


def balance_transaction(*, amount: int, fee: int, currency: str, **fields: Any) -> dict[str, Any]:
    """One movement of the balance. Stripe does not show the mode on it."""
    charged = {"amount": fee, "application": None, "currency": currency, "description": "Fees", "type": "stripe_fee"}
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "balance_type": "payments",
        "currency": currency,
        "fee": fee,
        "fee_details": [charged] if fee else [],
        "net": amount - fee,
        **fields,
    }


def payout(*, livemode: bool, created: int, automatic: bool, **fields: Any) -> dict[str, Any]:
    """Money on its way to the merchant's bank."""
    return {
        "id": new_id("po"),
        "object": "payout",
        "automatic": automatic,
        "balance_transaction": None,
        "created": created,
        "description": "STRIPE PAYOUT" if automatic else None,
        "destination": "ba_test",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": livemode,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "in_progress" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "status": "pending",
        "type": "bank_account",
        **fields,
    }


def balance(*, livemode: bool, available: dict[str, int], pending: dict[str, int]) -> dict[str, Any]:
    """What an account holds, by currency; Stripe shows each currency in both lists."""
    currencies = sorted(available | pending)
    rows = [
        [
            {"amount": sums.get(name, 0), "currency": name, "source_types": {"card": sums.get(name, 0)}}
            for name in currencies
        ]
        for sums in (available, pending)
    ]
    return {"object": "balance", "available": rows[0], "pending": rows[1], "livemode": livemode}


def page(url: str, data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A part of a list."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}
