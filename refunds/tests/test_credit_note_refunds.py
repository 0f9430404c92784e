"""Money of a paid invoice going back by its credit note: how much, through which payments, and what failing does."""

import random

import pytest
from django.db import IntegrityError, transaction

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books, check_guard
from flint.testing.stories import actor_in, eur, wire
from invoices.tests.asking import by_hand, issued
from invoices.tests.crediting import (
    allocate,
    amount,
    credited,
    drafted,
    give_back,
    line_ids,
    note_act,
    pay_invoice,
    read_invoice,
    read_note,
    sum_of_documents,
    units,
)
from orders.models import Order
from orders.tests.sales import add_charge, create, fee, line, refused, taxed
from payments.models import PaymentIntent
from payments.processors.base import RefundState
from refunds import services
from refunds.models import Refund


@pytest.fixture
def invoice(api):
    """A paid invoice of 100.00: four units at 25.00."""
    invoice = issued(api, create(api, line(2_500, quantity=4)))
    pay_invoice(invoice)
    return invoice


def outcome(refund: Refund, status: str, reason: str = ""):
    """Learn what became of a refund at the processor."""
    (leg,) = refund.legs.all()
    state = RefundState(
        operation_id=leg.id,
        environment_id=leg.environment_id,
        reference=leg.reference or f"re_{leg.id}",
        status=status,
        money=leg.money,
        payment_reference=leg.operation.reference,
        failure_reason=reason,
    )
    services.record_refund(state, actor=actor_in(leg.environment))


def test_credit_of_a_paid_invoice_goes_back_through_its_payment(api, invoice):
    note = credited(api, invoice, units(line_ids(invoice)[0], 2))

    made = give_back(api, note)

    assert made.status_code == 201
    assert made.data["credit_note_id"] == note["credit_note_id"]
    assert made.data["invoice_id"] == invoice["invoice_id"]
    assert made.data["amount_money"] == wire(eur(5_000))
    assert made.data["line_item_allocations"][0]["quantity"] == 2
    shown = read_note(api, note)
    assert (shown["refunded_money"], shown["pending_refund_money"]) == (wire(eur(5_000)), wire(eur(0)))
    assert (shown["unallocated_money"], shown["latest_refund_status"]) == (wire(eur(5_000)), "succeeded")
    found = read_invoice(api, invoice)
    assert (found["status"], found["refund_status"]) == ("paid", "partially_refunded")
    assert (found["refunded_money"], found["outstanding_money"]) == (wire(eur(5_000)), wire(eur(0)))
    assert_books(invoice["order_id"], paid=10_000, refunded=5_000, credit=5_000, balance=0)
    assert sum_of_documents(invoice["order_id"]) == 5_000


def test_a_part_of_it_and_then_the_rest(api, invoice):
    note = credited(api, invoice)

    assert give_back(api, note, key="a", amount_money=wire(eur(1_500))).status_code == 201
    refused(give_back(api, note, key="b", amount_money=wire(eur(2_501))), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)
    assert give_back(api, note, key="c").data["amount_money"] == wire(eur(2_500))
    refused(give_back(api, note, key="d"), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)
    assert_books(invoice["order_id"], refunded=4_000, credit=4_000, balance=0)


def test_an_invoice_tells_of_each_refund_once(api, invoice):
    note = credited(api, invoice)
    give_back(api, note, key="a", amount_money=wire(eur(1_500)))
    give_back(api, note, key="b")
    refund = Refund.objects.order_by("created_at").last()
    outcome(refund, "failed", "declined")

    events = Order.objects.get(id=invoice["order_id"]).events.filter(type__startswith="invoice.").order_by("sequence")
    told = [(event.type, event.data["because"]) for event in events if event.data.get("because", "").startswith("ref")]
    assert told == [
        ("invoice.partially_refunded", "refund.succeeded"),
        ("invoice.partially_refunded", "refund.succeeded"),
        ("invoice.updated", "refund.failed"),
    ]
    assert api.get(f"/v1/invoices/{invoice['invoice_id']}/activities").status_code == 200
    told = api.get(f"/v1/orders/{invoice['order_id']}/activities").data
    assert "Credit note CN-000001 over €40.00 issued" in str(told)


def test_a_refund_is_known_by_its_key_for_good(api, invoice):
    note = credited(api, invoice)
    first = give_back(api, note, key="mine")

    again = give_back(api, note, key="mine")

    assert again.data["refund_id"] == first.data["refund_id"]
    assert again["Idempotency-Replayed"] == "true"
    refused(give_back(api, note, key="mine", amount_money=wire(eur(1))), "IDEMPOTENCY_KEY_REUSED", 409)
    refused(give_back(api, note, key=None), "IDEMPOTENCY_KEY_REQUIRED")
    refused(note_act(api, note, "refunds", {}, key="new"), "FIELD_REQUIRED")
    listed = api.get(f"/v1/credit-notes/{note['credit_note_id']}/refunds", {"idempotency_key": "mine"})
    assert [refund["refund_id"] for refund in listed.data] == [first.data["refund_id"]]
    assert_books(invoice["order_id"], refunded=4_000, credit=4_000)


def test_issued_with_its_refund_in_one_step(api, invoice):
    note = drafted(api, invoice)
    body = {"refund": {"reason": "defective_product"}}

    refused(note_act(api, note, "issue", body), "IDEMPOTENCY_KEY_REQUIRED")
    with stories.settled():
        made = note_act(api, note, "issue", body, key="both")
        again = note_act(api, note, "issue", body, key="both")

    assert (made.data["status"], made.data["refund"]["status"]) == ("issued", "pending")
    assert again.data == made.data
    assert made.data["pending_refund_money"] == wire(eur(4_000))
    assert_books(invoice["order_id"], refunded=4_000, credit=4_000, balance=0)


def test_what_cannot_go_back_is_not_issued_either(api, invoice):
    note = drafted(api, invoice)
    body = {"refund": {"reason": "other", "amount_money": wire(eur(4_001))}}

    refused(note_act(api, note, "issue", body, key="both"), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)

    assert read_note(api, note)["status"] == "draft"
    assert_books(invoice["order_id"], refund_pending=0, refunded=0)
    assert note_act(api, note, "issue").data["credit_note_number"] == "CN-000001"


def test_only_once_nothing_is_owed(api):
    invoice = issued(api, create(api, line(10_000)))
    note = credited(api, invoice)

    refused(give_back(api, note), "CREDIT_NOTE_REFUND_INVALID")
    assert_books(invoice["order_id"], refund_pending=0)


def test_money_recorded_by_hand_does_not_go_back_through_a_processor(api):
    invoice = issued(api, create(api, line(10_000)))
    by_hand(api, invoice, 10_000)
    note = credited(api, invoice)

    refused(give_back(api, note), "NO_PAYMENTS_FOR_ORDER")
    assert_books(invoice["order_id"], refund_pending=0, refunded=0, processor=False)


def test_pending_money_counts_against_the_note(api, invoice):
    note = credited(api, invoice)
    with collecting():
        assert note_act(api, note, "refunds", {"reason": "other"}, key="a").data["status"] == "pending"

    refused(give_back(api, note, key="b"), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)
    refused(note_act(api, note, "void"), "CREDIT_NOTE_HAS_ALLOCATIONS", 409)
    assert read_note(api, note)["pending_refund_money"] == wire(eur(4_000))


@pytest.mark.parametrize("when", ["at once", "after it had succeeded"])
def test_a_refund_that_fails_frees_the_credit(api, invoice, when):
    note = credited(api, invoice)
    with collecting():
        made = note_act(api, note, "refunds", {"reason": "other"}, key="a").data
    refund = Refund.objects.get(id=made["refund_id"])
    if when != "at once":
        outcome(refund, "succeeded")
        assert read_note(api, note)["refunded_money"] == wire(eur(4_000))

    outcome(refund, "failed", "expired_or_canceled_card")

    shown = read_note(api, note)
    assert (shown["refunded_money"], shown["pending_refund_money"]) == (wire(eur(0)), wire(eur(0)))
    assert shown["latest_refund_status"] == "failed"
    repeat = give_back(api, note, key="a", reason="other")
    assert (repeat.data["refund_id"], repeat.data["status"]) == (refund.id, "failed")
    assert give_back(api, note, key="b").status_code == 201
    listed = api.get(f"/v1/credit-notes/{note['credit_note_id']}/refunds").data
    assert [each["status"] for each in listed] == ["succeeded", "failed"]
    assert_books(invoice["order_id"], refunded=4_000, credit=4_000, balance=0, processor=False)


def test_tried_again_by_staff_it_is_the_notes_refund_still(api, invoice, environment):
    note = credited(api, invoice)
    with collecting():
        made = note_act(api, note, "refunds", {"reason": "other"}, key="a").data
    refund = Refund.objects.get(id=made["refund_id"])
    outcome(refund, "failed", "declined")

    with stories.settled():
        again = services.try_again(refund.id, actor=actor_in(environment))

    assert again.credit_note_id == note["credit_note_id"]
    assert read_note(api, note)["refunded_money"] == wire(eur(4_000))
    refused(give_back(api, note, key="b"), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)


def test_credit_that_was_used_meanwhile_is_not_tried_again(api, invoice, environment):
    note = credited(api, invoice)
    with collecting():
        made = note_act(api, note, "refunds", {"reason": "other"}, key="a").data
    refund = Refund.objects.get(id=made["refund_id"])
    outcome(refund, "failed", "declined")
    give_back(api, note, key="b")

    with pytest.raises(services.CreditNoteRefundExceedsBalance):
        services.try_again(refund.id, actor=actor_in(environment))


def test_what_went_back_otherwise_does_not_go_back_by_the_note(api, invoice):
    order = Order.objects.get(id=invoice["order_id"])
    stories.refund(order, line_items=[{"order_line_item_id": order.line_items.get().id, "quantity": 3}])
    note = credited(api, invoice)

    response = give_back(api, note)

    refused(response, "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)
    assert response.error["maximum_money"] == wire(eur(2_500))
    assert_books(invoice["order_id"], refunded=7_500, refund_pending=0)


def test_lines_charges_and_tip_go_back_as_the_note_says(api):
    tip = {"amount_money": wire(eur(500))}
    order = create(api, line(1_000, quantity=2, tax=taxed(10)), line(3_000), requested_tip=tip)
    order = add_charge(api, order, **fee(490))
    invoice = issued(api, order)
    pay_invoice(invoice)
    charge_id = invoice["snapshot"]["charges"][0]["order_charge_id"]
    first, _ = line_ids(invoice)
    note = credited(api, invoice, units(first, 1), amount(charge_id, 490), amount("tip", 200))

    made = give_back(api, note)

    assert made.data["amount_money"] == wire(eur(1_790))
    assert made.data["refunded_tip_money"] == wire(eur(200))
    assert made.data["charge_allocations"][0]["refunded_money"] == wire(eur(490))
    (row,) = made.data["line_item_allocations"]
    assert (row["quantity"], row["refunded_money"]) == (1, wire(eur(1_100)))
    assert row["automatic_refund"]["tax_money"] == wire(eur(100))
    assert_books(invoice["order_id"], refunded=1_790, credit=1_790, balance=0)


def test_applied_and_refunded_never_more_than_the_note(api):
    """60.00 of 100.00 paid; everything comes back: 40.00 is no longer owed, 60.00 goes back."""
    order = create(api, line(6_000))
    stories.pay(Order.objects.get(id=order["order_id"]))
    order = api.post(f"/v1/orders/{order['order_id']}/line-items", {"line_items": [line(4_000)]}).data
    invoice = issued(api, order)
    note = credited(api, invoice, *(units(line_id, 1) for line_id in line_ids(invoice)))
    assert allocate(api, note, 4_000).data["invoice"]["status"] == "credited"

    made = give_back(api, note)

    assert made.data["amount_money"] == wire(eur(6_000))
    shown = read_note(api, note)
    assert (shown["unallocated_money"], shown["refunded_money"]) == (wire(eur(6_000)), wire(eur(6_000)))
    refused(give_back(api, note, key="more"), "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE", 409)
    assert_books(invoice["order_id"], total=10_000, paid=6_000, refunded=6_000, credit=10_000, balance=0)
    assert sum_of_documents(invoice["order_id"]) == 0


def test_the_database_refuses_more_than_the_note(api, invoice):
    note = credited(api, invoice)
    order = Order.objects.get(id=invoice["order_id"])
    refund = stories.refund(order, amount_money=eur(5_000))

    with pytest.raises(IntegrityError, match="credit_note_gives_at_most_itself"), transaction.atomic():
        Refund.objects.filter(id=refund.id).update(credit_note_id=note["credit_note_id"])
        refund.legs.update(updated_at=refund.updated_at)
        check_guard()


@pytest.mark.parametrize("seed", range(6))
def test_i12_documents_come_to_what_the_order_is_worth(api, environment, seed):
    """Whatever is credited by notes, in whatever sequence: invoices less notes is total less credited."""
    chance = random.Random(seed)
    lines = [
        line(chance.randint(100, 5_000), quantity=chance.randint(1, 4), tax=taxed(chance.choice([7, 19, 8.25])))
        for _ in range(chance.randint(1, 4))
    ]
    invoice = issued(api, create(api, *lines))
    if chance.random() < 0.7:
        pay_invoice(invoice)
    shown = invoice["snapshot"]["line_items"]
    for turn in range(6):
        row = chance.choice(shown)
        wanted = chance.choice(
            [
                units(row["invoice_line_item_id"], chance.randint(1, row["quantity"])),
                amount(row["invoice_line_item_id"], chance.randint(1, row["total_money"]["amount"])),
            ]
        )
        body = {"invoice_id": invoice["invoice_id"], "reason": "other", "credit_note_lines": [wanted]}
        made = api.post("/v1/credit-notes", body)
        if made.status_code != 201:
            assert made.code in ("CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE", "INVOICE_NOT_CREDITABLE")
            continue
        note = note_act(api, made.data, "issue").data
        total, owed = note["total_money"]["amount"], read_invoice(api, invoice)["outstanding_money"]["amount"]
        if applied := min(total, owed):
            assert allocate(api, note, applied, key=f"apply {turn}").status_code == 201
        if total - applied:
            assert give_back(api, note, key=f"back {turn}").status_code == 201
    order = Order.objects.get(id=invoice["order_id"])
    assert sum_of_documents(order.id) == order.total_amount - order.credit_amount
    assert_books(order, balance=order.balance_amount)
    assert PaymentIntent.objects.filter(order=order).count() <= 1
