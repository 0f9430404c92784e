"""A key sees its own environment only: whatever of somebody else's it names, it is told that there is no such thing."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from flint import actors
from flint.actors import Command
from flint.api.documents import document
from flint.events.models import WebhookDelivery
from flint.events.tests.telling import endpoint_at
from flint.events.webhooks.envelopes import trial_message
from flint.reports.models import Report, ReportDownload
from flint.testing import stories
from flint.testing.stories import eur, line, settled, wire
from invoices.services.credit_notes.allocating import allocate
from invoices.services.credit_notes.drafting import create_credit_note
from invoices.services.credit_notes.issuing import issue_credit_note
from invoices.services.fees import assess_late_fee
from orders import services
from orders.models import Order
from payments.processors.base import BalanceTransactionState, PayoutState
from payments.services.movements import record_movements
from payments.services.payouts import record_payout
from refunds.tests.disputing import dispute

LINE = {"name": "Tea", "unit_price_money": wire(eur(100))}
CHARGE = {"name": "Gift wrap", "type": "other", "amount_money": wire(eur(100))}

BODIES = {
    ("patch", "/v1/merchants/{merchant_id}"): {"phone": None},
    ("patch", "/v1/customers/{customer_id}"): {"name": "Somebody"},
    ("patch", "/v1/orders/{order_id}"): {"buyer_note": "Hello"},
    ("post", "/v1/orders/{order_id}/close"): {},
    ("post", "/v1/orders/{order_id}/line-items"): {"line_items": [LINE]},
    ("patch", "/v1/orders/{order_id}/line-items/{order_line_item_id}"): {"name": "Tea"},
    ("post", "/v1/orders/{order_id}/charges"): {"charge": CHARGE},
    ("patch", "/v1/orders/{order_id}/charges/{order_charge_id}"): {"name": "Bow"},
    ("post", "/v1/orders/{order_id}/discounts"): {"manual": {"name": "Gift", "amount_money": wire(eur(10))}},
    ("post", "/v1/orders/{order_id}/discounts/remove"): {"order_discount_ids": ["odi_01J00000000000000000000000"]},
    ("post", "/v1/orders/{order_id}/send-receipt"): {"email": "ada@buyer.example"},
    ("post", "/v1/orders/{order_id}/pay"): {"action": "pay", "payment_source": {"token": "pm_card_visa"}},
    ("post", "/v1/orders/{order_id}/payment-intents"): {},
    ("post", "/v1/orders/{order_id}/payment-intents/{payment_intent_id}/capture"): {},
    ("post", "/v1/orders/{order_id}/payment-intents/{payment_intent_id}/cancel"): {},
    ("post", "/v1/orders/{order_id}/payment-attempts/{order_payment_attempt_id}/cancel"): {},
    ("patch", "/v1/payment-intents/{payment_intent_id}"): {"metadata": {"shelf": "3"}},
    ("post", "/v1/payment-intents/{payment_intent_id}/confirm"): {"payment_source_token": "pm_card_visa"},
    ("post", "/v1/payment-intents/{payment_intent_id}/capture"): {},
    ("post", "/v1/payment-intents/{payment_intent_id}/cancel"): {},
    ("post", "/v1/payment-methods/{payment_method_id}/set-default"): None,
    ("patch", "/v1/refunds/{refund_id}"): {"metadata": {"shelf": "3"}},
    ("post", "/v1/orders/{order_id}/pay-link"): None,
    ("patch", "/v1/payment-links/{payment_link_id}"): {"name": "New"},
    ("patch", "/v1/checkout-sessions/{checkout_session_id}"): {"metadata": {"shelf": "3"}},
    ("post", "/v1/checkout-sessions/{checkout_session_id}/close"): {},
    ("patch", "/v1/invoices/{invoice_id}"): {"memo": "Thank you"},
    ("post", "/v1/invoices/{invoice_id}/issue"): {"delivery_mode": "caller_managed"},
    ("post", "/v1/invoices/{invoice_id}/void"): None,
    ("post", "/v1/invoices/{invoice_id}/mark-uncollectible"): None,
    ("post", "/v1/invoices/{invoice_id}/manual-payments"): {"amount_money": wire(eur(100))},
    ("post", "/v1/invoices/{invoice_id}/manual-payments/reverse"): {"amount_money": wire(eur(100))},
    ("post", "/v1/invoices/{invoice_id}/send-reminder"): None,
    ("post", "/v1/invoices/{invoice_id}/late-fees"): {},
    ("post", "/v1/invoices/{invoice_id}/late-fees/{invoice_late_fee_id}/waive"): {"reason_message": "Goodwill"},
    ("post", "/v1/invoices/{invoice_id}/checkout-session"): None,
    ("post", "/v1/invoices/{invoice_id}/collect"): {},
    ("post", "/v1/invoices/{invoice_id}/regenerate-public-link"): None,
    ("post", "/v1/invoices/{invoice_id}/payment-attempts/{invoice_payment_attempt_id}/cancel"): None,
    ("patch", "/v1/invoice-payment-terms/{invoice_payment_term_id}"): {"name": "New"},
    ("patch", "/v1/credit-notes/{credit_note_id}"): {"memo": "Sorry"},
    ("post", "/v1/credit-notes/{credit_note_id}/issue"): None,
    ("post", "/v1/credit-notes/{credit_note_id}/void"): None,
    ("post", "/v1/credit-notes/{credit_note_id}/allocations"): {"amount_money": wire(eur(100))},
    ("post", "/v1/credit-notes/{credit_note_id}/allocations/{credit_note_allocation_id}/reverse"): None,
    ("post", "/v1/credit-notes/{credit_note_id}/refunds"): {"reason": "other"},
    ("delete", "/v1/invoice-payment-terms/{invoice_payment_term_id}"): None,
    ("patch", "/v1/webhook-endpoints/{webhook_endpoint_id}"): {"description": "New"},
    ("post", "/v1/webhook-endpoints/{webhook_endpoint_id}/rotate-secret"): None,
    ("post", "/v1/webhook-endpoints/{webhook_endpoint_id}/test-events"): {"event_type": "order.paid"},
    ("post", "/v1/webhook-deliveries/{webhook_delivery_id}/resend"): {},
}
"""What each verb must be sent to get as far as looking for what it names."""

OF_A_LINK = "/v1/me/"
"""For whoever has an invoice's link, and comes with its secret in place of a key: ``payments/tests`` walk these."""


@pytest.fixture
def theirs(environment) -> dict[str, str]:
    """An order with one of everything, and the ids of it all."""
    actor = stories.actor_in(environment)
    customer = services.create_customer(data={"email": "buyer@example.com"}, actor=actor)
    order = stories.open_order(environment, line(1_000), line(2_000), customer_id=customer.id)
    order = services.add_charge(
        order_id=order.id, charge={"name": "Post", "type": "shipping_fee", "amount_money": eur(500)}, actor=actor
    )
    paid = stories.pay(order)
    refund = stories.refund(order, amount_money=eur(100))
    return {
        "merchant_id": environment.merchant_id,
        "customer_id": customer.id,
        "order_id": order.id,
        "order_line_item_id": order.line_items.order_by("position").first().id,
        "order_charge_id": order.charges.get().id,
        "payment_intent_id": order.payment_intents.get().id,
        "order_payment_attempt_id": paid.attempt.id,
        "payment_method_id": stories.saved_card(customer).id,
        "refund_id": refund.id,
        "dispute_id": dispute(order, case_type="inquiry").id,
        "payment_link_id": stories.payment_link(environment).id,
        "checkout_session_id": stories.checkout(stories.open_order(environment)).session.id,
        **invoiced(environment),
        **report(environment),
        **webhook(environment),
        **balance(environment, refund),
    }


def invoiced(environment) -> dict[str, str]:
    """An invoice that is late, with a fee, a payment that was declined, and a note that credits a part of it."""
    actor, issued = stories.actor_in(environment), timezone.now() - timedelta(days=60)
    fee = {"type": "fixed", "amount_money": eur(100), "grace_period_days": 1}
    term = stories.payment_term(environment, late_fee_policy=fee)
    due = {"type": "payment_terms", "invoice_payment_term_id": term.id}
    order = stories.open_order(environment, total=5_000)
    invoice = stories.issued_invoice(order, payment_due=due, at=issued).invoice
    attempt = stories.pay(order, token="pm_card_chargeDeclined", invoice_id=invoice.id).attempt
    assess_late_fee(invoice_id=invoice.id, actor=actor)
    line = {"invoice_line_item_id": invoice.snapshot["line_items"][0]["invoice_line_item_id"]}
    line["correction"] = {"type": "amount", "amount_money": eur(1_000)}
    note = create_credit_note(
        data={"invoice_id": invoice.id, "reason": "goodwill", "credit_note_lines": [line]}, actor=actor
    )
    issue_credit_note(note.id, actor=actor)
    credit = allocate(note.id, money=eur(500), actor=actor.with_command(Command(key="first", digest="first")))
    return {
        "invoice_id": invoice.id,
        "invoice_payment_term_id": term.id,
        "invoice_late_fee_id": invoice.late_fees.get().id,
        "invoice_payment_attempt_id": attempt.id,
        "credit_note_id": note.id,
        "credit_note_allocation_id": credit.allocation.id,
    }


def report(environment) -> dict[str, str]:
    """A report that was asked for, and its file."""
    now = timezone.now()
    asked = Report.objects.create(
        environment=environment,
        report_type="journal_v1",
        currency="EUR",
        interval_start_at=now - timedelta(days=1),
        interval_end_at=now,
        timezone="UTC",
        watermark=1,
    )
    download = ReportDownload.objects.create(
        environment=environment, report=asked, size=0, expires_at=now + timedelta(days=1)
    )
    return {"report_id": asked.id, "report_download_id": download.id}


def webhook(environment) -> dict[str, str]:
    """An endpoint that is switched off, so that nobody is called, and what it was once told."""
    endpoint, _ = endpoint_at(environment, "https://shop.example.com/hooks", enabled=False)
    event = trial_message(environment, "order.paid", {}, at=timezone.now())
    event.save(force_insert=True)
    delivery = WebhookDelivery.objects.create(
        environment=environment, webhook_endpoint=endpoint, webhook_event=event, due_at=timezone.now()
    )
    return {
        "webhook_endpoint_id": endpoint.id,
        "webhook_event_id": event.id,
        "webhook_delivery_id": delivery.id,
    }


def balance(environment, refund) -> dict[str, str]:
    """A movement of the balance and a payout, as the processor tells of them."""
    actor, at = actors.processor(environment.id, "sandbox"), timezone.now()
    payout = record_payout(
        PayoutState("sbo_1", "in_transit", eur(900), environment.id, created_at=at), processor="sandbox", actor=actor
    )
    told = BalanceTransactionState(
        reference="sbb_1",
        type="refund",
        status="available",
        amount=-100,
        fee_amount=0,
        net_amount=-100,
        currency="EUR",
        environment_id=environment.id,
        occurred_at=at,
        source_kind="refund",
        source_reference=refund.legs.get().reference,
    )
    (movement,) = record_movements([told], processor="sandbox", actor=actor)
    return {"balance_transaction_id": movement.id, "payout_id": payout.id}


def fill(template: str, ids: dict[str, str]) -> str:
    """Put ids into a path; a parameter that nobody thought of fails the test."""
    return template.format(**ids)


def key_for(method: str) -> str | None:
    """A key of its own for whatever may be repeated; some verbs insist on one."""
    return None if method == "get" else str(uuid4())


def operations() -> list[tuple[str, str]]:
    """Every operation of the served document that names something in its path, and takes a merchant's key."""
    return [
        (method, template)
        for template, methods in document()["paths"].items()
        for method, operation in methods.items()
        if "{" in template
        and method in ("get", "post", "patch", "delete")
        and {"BearerAuth": []} in (operation.get("security") or ())
        and not template.startswith(OF_A_LINK)
    ]


def test_only_what_buyers_follow_without_a_key_is_open_to_anybody():
    named = {path for path in document()["paths"] if "{" in path and not path.startswith(OF_A_LINK)}
    closed = {path for _, path in operations()}
    codes = "/v1/checkout-sessions/{checkout_session_id}/customer-verifications"
    of_buyers = {codes, f"{codes}/{{customer_verification_id}}/confirm"}
    assert {path for path in of_buyers if document()["paths"][path]["post"]["security"]} == of_buyers
    open_to_all = {f"/v1/payment-links/{{payment_link_id}}/{verb}" for verb in ("public", "resolve")}
    assert named - closed == of_buyers | open_to_all


def snapshot() -> dict[str, list]:
    """Return every row of every table that a merchant's business lives in."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table.startswith(("orders_", "invoices_", "payments_", "refunds_", "events_", "sandbox_", "reports_")):
                cursor.execute(f'SELECT * FROM "{table}" ORDER BY 1')
                found[table] = cursor.fetchall()
    return found


def test_nothing_of_another_merchant_can_be_reached(theirs, other_api):
    before = snapshot()
    refused = []
    for method, template in operations():
        body = BODIES.get((method, template)) if method in ("post", "patch") else None
        response = other_api.call(method.upper(), fill(template, theirs), body=body, key=key_for(method))
        refused.append((method, template, response.status_code))
    assert [found for found in refused if found[2] != 404] == []
    assert len(refused) >= 18
    assert snapshot() == before


def test_the_owner_reaches_all_of_it(theirs, api):
    """The same requests with the right key find what they name: the walk above is refused for whose it is alone."""
    found = []
    for method, template in operations():
        if method == "delete":
            continue
        body = BODIES.get((method, template))
        response = api.call(method.upper(), fill(template, theirs), body=body, key=key_for(method))
        found.append((method, template, response.status_code))
    missing = [entry for entry in found if entry[2] == 404 and "discounts/remove" not in entry[1]]
    assert missing == []


def test_a_body_cannot_name_somebody_elses_rows(theirs, other_api, api):
    before = snapshot()
    for body in (
        {"order_id": theirs["order_id"]},
        {"payment_intent_id": theirs["payment_intent_id"]},
        {"order_id": theirs["order_id"], "payment_intent_id": theirs["payment_intent_id"]},
    ):
        assert other_api.post("/v1/refunds", body).status_code == 404
    assert other_api.post("/v1/invoices", {"order_id": theirs["order_id"]}).status_code == 404
    note = {"invoice_id": theirs["invoice_id"], "reason": "other"}
    assert other_api.post("/v1/credit-notes", note).status_code == 404
    due = {"type": "payment_terms", "invoice_payment_term_id": theirs["invoice_payment_term_id"]}
    sold = {"line_items": [LINE]}
    assert (
        other_api.post("/v1/invoices", {"quick_pay": sold, "payment_due": due}).code == "INVALID_INVOICE_PAYMENT_TERM"
    )
    answer = other_api.post("/v1/orders", {"line_items": [LINE], "customer_id": theirs["customer_id"]})
    assert answer.status_code == 404
    assert snapshot() == before


def test_lists_hold_nothing_of_anybody_else(theirs, other_api):
    for path in (
        "/v1/orders",
        "/v1/refunds",
        "/v1/disputes",
        "/v1/customers",
        "/v1/payment-intents",
        "/v1/payment-methods",
        "/v1/invoices",
        "/v1/invoice-payment-terms",
        "/v1/credit-notes",
        "/v1/reports",
    ):
        assert other_api.get(path).data == []
    for query in ({"customer_id": theirs["customer_id"]}, {"query": theirs["order_id"]}):
        assert other_api.get("/v1/orders", query).data == []
    assert other_api.get("/v1/refunds", {"order_id": theirs["order_id"]}).data == []


def test_a_leg_of_another_order_of_the_same_merchant_is_none_of_this_one(environment, api):
    first, second = stories.held_order(environment), stories.held_order(environment)
    leg = second.payment_intents.get()
    for verb in ("capture", "cancel"):
        response = api.post(
            f"/v1/orders/{first.id}/payment-intents/{leg.id}/{verb}",
            {"order_payment_attempt_id": first.active_attempt_id},
        )
        assert response.code == "PAYMENT_INTENT_NOT_FOUND"
    with settled():
        response = api.post("/v1/refunds", {"order_id": first.id, "payment_intent_id": leg.id})
    assert response.code == "PAYMENT_INTENT_NOT_PART_OF_ORDER"
    assert Order.objects.get(id=second.id).active_attempt_id
