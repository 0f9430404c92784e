"""What merchants are told of invoices and credit notes, as the contract has it, member by member."""

import json

import pytest

from flint.events.models import WebhookEvent
from flint.events.tests.telling import endpoint_at, publish
from flint.testing import stories
from flint.testing.stories import eur, line, wire
from invoices.models import Invoice
from orders.models import Order
from payments.tests.acts import THREE_D_SECURE, attempt_of, pay
from payments.tests.test_invoice_checkout import buyer_in, in_parts, open_checkout

pytestmark = pytest.mark.django_db(transaction=True)

BASE = {"invoice_id", "version", "status", "order_id", "outstanding_money", "refund_status", "resource_updated_at"}
ISSUED = BASE | {"invoice_number", "issued_at", "collection_mode", "delivery_mode"}


@pytest.fixture(autouse=True)
def heard(environment):
    """Somebody listens."""
    endpoint_at(environment, "https://shop.example.com/hooks")


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


def told(environment, about: str = "invoice.") -> list[tuple[str, dict]]:
    """Return what is told of one family, in order: the type and its data."""
    publish()
    rows = WebhookEvent.objects.filter(environment=environment, type__startswith=about).order_by("position")
    messages = [json.loads(row.body) for row in rows]
    return [(each["event_type"], each["data"]) for each in messages]


def act(api, invoice: Invoice, verb: str, **body) -> None:
    answer = api.post(f"/v1/invoices/{invoice.id}/{verb}", body or None)
    assert answer.status_code in (200, 201), answer.content


def test_from_the_draft_to_the_money(api, environment, order):
    invoice = in_parts(order)
    for _ in range(2):
        pay(buyer_in(open_checkout(api, invoice), environment), order)

    created, issued, partly, paid = told(environment)

    assert [name for name, _ in (created, issued, partly, paid)] == [
        "invoice.created",
        "invoice.issued",
        "invoice.partially_paid",
        "invoice.paid",
    ]
    assert set(issued[1]) == ISSUED
    assert paid[1]["amount_money"] == wire(eur(7_000)) and paid[1]["payment_intent_id"].startswith("pi_")
    assert set(paid[1]) == ISSUED | {"amount_money", "payment_intent_id"}
    assert paid[1]["outstanding_money"] == wire(eur(0))


def test_payments_that_brought_nothing(api, environment, order):
    invoice = stories.issued_invoice(order).invoice
    buyer = buyer_in(open_checkout(api, invoice), environment)
    declined = pay(buyer, order, "pm_card_chargeDeclined")
    asked = pay(buyer, order, THREE_D_SECURE)
    act(api, invoice, f"payment-attempts/{attempt_of(asked)}/cancel")

    failed, canceled = told(environment, "invoice.payment")

    assert failed[0] == "invoice.payment_failed"
    assert failed[1]["invoice_payment_attempt_id"] == attempt_of(declined)
    assert (failed[1]["failure_code"], failed[1]["expected_amount_money"]) == ("card_declined", wire(eur(10_000)))
    assert (canceled[0], canceled[1]["invoice_payment_attempt_id"]) == (
        "invoice.payment_attempt_canceled",
        attempt_of(asked),
    )


def test_a_bank_that_takes_days(api, environment):
    order = stories.open_order(environment, line(10_000, currency="USD"))
    invoice = stories.issued_invoice(order).invoice
    pay(buyer_in(open_checkout(api, invoice), environment), order, "pm_usBankAccount_success")
    ((name, data),) = told(environment, "invoice.payment_processing")
    assert (data["payment_rail"], data["payment_attempt_status"]) == ("ach_debit", "processing")
    assert set(data) == ISSUED | {
        "invoice_payment_attempt_id",
        "payment_attempt_status",
        "payment_attempt_updated_at",
        "payment_rail",
        "expected_amount_money",
    }


def test_by_hand_written_off_and_void(api, environment, order):
    invoice = stories.issued_invoice(order).invoice
    act(api, invoice, "manual-payments", amount_money=wire(eur(4_000)))
    act(api, invoice, "mark-uncollectible")
    other = stories.issued_invoice(stories.open_order(environment)).invoice
    act(api, other, "void")

    by_name = dict(told(environment))

    assert by_name["invoice.manual_payment_recorded"]["invoice_id"] == invoice.id
    assert by_name["invoice.partially_paid"]["amount_money"] == wire(eur(4_000))
    assert by_name["invoice.marked_uncollectible"]["written_off_money"] == wire(eur(6_000))
    assert by_name["invoice.voided"]["status"] == "void"


def test_a_credit_note_and_what_it_gives_back(api, environment, order):
    invoice = stories.issued_invoice(order).invoice
    (billed,) = invoice.snapshot["line_items"]
    correction = {"type": "amount", "amount_money": wire(eur(10_000))}
    body = {
        "invoice_id": invoice.id,
        "reason": "goodwill",
        "credit_note_lines": [{"invoice_line_item_id": billed["invoice_line_item_id"], "correction": correction}],
    }
    note = api.post("/v1/credit-notes", body).data
    api.post(f"/v1/credit-notes/{note['credit_note_id']}/issue", {})
    allocated = api.post(
        f"/v1/credit-notes/{note['credit_note_id']}/allocations", {"amount_money": wire(eur(10_000))}, key="all"
    )
    assert allocated.status_code in (200, 201), allocated.content

    names = [name for name, _ in told(environment, "credit_note.")]
    assert names == ["credit_note.created", "credit_note.issued", "credit_note.allocation_created"]
    by_name = dict(told(environment, ""))
    assert by_name["credit_note.allocation_created"]["amount_money"] == wire(eur(10_000))
    credited = by_name["invoice.credited"]
    assert (credited["credit_money"], credited["status"]) == (wire(eur(10_000)), "credited")
    assert credited["closed_at"] and credited["invoice_number"] == invoice.number
