"""Credit notes before any money goes back: what they take of an invoice, and what applying them does."""

import pytest
from django.db import IntegrityError, transaction

from flint.testing import stories
from flint.testing.books import assert_books, check_guard
from flint.testing.stories import eur, wire
from invoices.models import CreditNote, CreditNoteAllocation, CreditNoteLine
from invoices.tests.asking import act, by_hand, draft, issued
from invoices.tests.crediting import (
    allocate,
    amount,
    credited,
    drafted,
    line_ids,
    note_act,
    read_invoice,
    read_note,
    sum_of_documents,
    units,
)
from orders.tests.sales import add_charge, create, fee, line, refused, taxed


@pytest.fixture
def invoice(api):
    """An open invoice of 100.00: four units at 25.00."""
    return issued(api, create(api, line(2_500, quantity=4)))


def discounted(api, minor: int, *lines):
    """Create an order with a discount over all of its lines."""
    order = create(api, *lines)
    wanted = {"manual": {"name": "Sale", "amount_money": wire(eur(minor))}}
    response = api.post(f"/v1/orders/{order['order_id']}/discounts", wanted)
    assert response.status_code == 200, response.error
    return response.data


def test_a_draft_takes_nothing_back(api, invoice):
    note = drafted(api, invoice, units(line_ids(invoice)[0], 1))

    assert (note["status"], note["total_money"], note["unallocated_money"]) == ("draft", wire(eur(2_500)), wire(eur(0)))
    assert "credit_note_number" not in note
    assert_books(invoice["order_id"], total=10_000, credit=0, outstanding=10_000)


def test_issuing_numbers_and_freezes_and_moves_nothing(api, invoice):
    note = credited(api, invoice, units(line_ids(invoice)[0], 2))

    assert (note["status"], note["credit_note_number"]) == ("issued", "CN-000001")
    assert note["unallocated_money"] == wire(eur(5_000))
    assert_books(invoice["order_id"], credit=0, outstanding=10_000)
    refused(api.patch(f"/v1/credit-notes/{note['credit_note_id']}", {"memo": "No"}), "CREDIT_NOTE_NOT_DRAFT", 409)


def test_applied_credit_is_no_longer_owed(api, invoice):
    note = credited(api, invoice)

    made = allocate(api, note, 3_000)

    assert made.status_code == 201
    assert made.data["credit_note"]["unallocated_money"] == wire(eur(1_000))
    assert made.data["invoice"]["outstanding_money"] == wire(eur(7_000))
    assert made.data["invoice"]["credit_money"] == wire(eur(3_000))
    assert made.data["invoice"]["status"] == "open"
    order = assert_books(invoice["order_id"], credit=3_000, outstanding=7_000, is_under_invoice=True)
    assert [entry.kind for entry in order.entries.order_by("sequence")][-1] == "credit_goods"


def test_an_allocation_is_known_by_its_key_for_good(api, invoice):
    note = credited(api, invoice)
    first = allocate(api, note, 1_000, key="mine")

    again = allocate(api, note, 1_000, key="mine")
    other = allocate(api, note, 2_000, key="mine")

    made = first.data["credit_note_allocation"]
    assert again.data["credit_note_allocation"] == made
    assert again["Idempotency-Replayed"] == "true"
    assert made["idempotency_key"] == "mine"
    refused(other, "IDEMPOTENCY_KEY_REUSED", 409)
    refused(allocate(api, note, 1_000, key=None), "IDEMPOTENCY_KEY_REQUIRED")
    assert_books(invoice["order_id"], credit=1_000)
    listed = api.get(f"/v1/credit-notes/{note['credit_note_id']}/allocations", {"idempotency_key": "mine"})
    assert listed.data == [made]


def test_the_same_key_names_another_allocation_of_another_note(api, invoice):
    one, two = credited(api, invoice), credited(api, invoice)

    assert allocate(api, one, 1_000, key="same").status_code == 201
    assert allocate(api, two, 1_000, key="same").status_code == 201
    assert_books(invoice["order_id"], credit=2_000)


def test_credit_that_closes_the_balance_makes_the_invoice_credited(api, invoice):
    note = credited(api, invoice, units(line_ids(invoice)[0], 4))

    made = allocate(api, note, 10_000)

    assert made.data["invoice"]["status"] == "credited"
    assert_books(invoice["order_id"], credit=10_000, outstanding=0, is_under_invoice=False)


def test_taken_off_again_it_is_owed_once_more(api, invoice):
    note = credited(api, invoice, units(line_ids(invoice)[0], 4))
    made = allocate(api, note, 10_000).data["credit_note_allocation"]
    path = f"allocations/{made['credit_note_allocation_id']}/reverse"

    back = note_act(api, note, path)

    assert back.data["invoice"]["status"] == "open"
    assert back.data["credit_note"]["unallocated_money"] == wire(eur(10_000))
    assert "reversed_at" in back.data["credit_note_allocation"]
    assert_books(invoice["order_id"], credit=0, outstanding=10_000, is_under_invoice=True)
    refused(note_act(api, note, path), "CREDIT_NOTE_ALLOCATION_ALREADY_REVERSED", 409)
    repeat = allocate(api, note, 10_000)
    assert repeat.data["credit_note_allocation"] == back.data["credit_note_allocation"]
    assert_books(invoice["order_id"], credit=0, outstanding=10_000)


def test_reversed_on_an_invoice_that_was_partly_paid(api, invoice):
    by_hand(api, invoice, 6_000)
    note = credited(api, invoice)
    made = allocate(api, note, 4_000)
    assert made.data["invoice"]["status"] == "credited"

    made = made.data["credit_note_allocation"]
    back = note_act(api, note, f"allocations/{made['credit_note_allocation_id']}/reverse")

    assert back.data["invoice"]["status"] == "partially_paid"
    assert_books(invoice["order_id"], paid=6_000, credit=0, outstanding=4_000)


def test_never_more_than_the_note_has_or_the_invoice_owes(api, invoice):
    by_hand(api, invoice, 7_000)
    note = credited(api, invoice)

    response = allocate(api, note, 3_500)

    refused(response, "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE", 409)
    assert response.error["maximum_money"] == wire(eur(3_000))
    small = credited(api, invoice, amount(line_ids(invoice)[0], 1_000))
    refused(allocate(api, small, 1_001), "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE", 409)
    assert_books(invoice["order_id"], credit=0, outstanding=3_000)


def test_a_stale_version_is_refused(api, invoice):
    note = credited(api, invoice)

    refused(allocate(api, note, 1_000, expected_version=note["version"] - 1), "CREDIT_NOTE_CHANGED", 409)
    assert allocate(api, note, 1_000, expected_version=note["version"]).status_code == 201
    refused(note_act(api, note, "void", {"expected_version": note["version"]}), "CREDIT_NOTE_CHANGED", 409)


def test_void_once_nothing_of_it_is_applied(api, invoice):
    note = credited(api, invoice)
    made = allocate(api, note, 1_000).data["credit_note_allocation"]

    refused(note_act(api, note, "void"), "CREDIT_NOTE_HAS_ALLOCATIONS", 409)
    note_act(api, note, f"allocations/{made['credit_note_allocation_id']}/reverse")
    gone = note_act(api, note, "void")

    assert (gone.data["status"], gone.data["unallocated_money"]) == ("void", wire(eur(0)))
    assert gone.data["credit_note_number"] == note["credit_note_number"]
    refused(allocate(api, note, 1_000, key="later"), "CREDIT_NOTE_NOT_ISSUED", 409)
    refused(note_act(api, note, "void"), "CREDIT_NOTE_NOT_ISSUED", 409)
    whole = credited(api, invoice, units(line_ids(invoice)[0], 4))
    assert whole["total_money"] == wire(eur(10_000))


# Lines


def test_units_in_steps_sum_to_the_line(api):
    invoice = issued(api, discounted(api, 1_000, line(3_333, quantity=3)))
    (line_id,) = line_ids(invoice)
    whole = invoice["snapshot"]["line_items"][0]

    notes = [credited(api, invoice, units(line_id, 1)) for _ in range(3)]

    rows = [note["credit_note_lines"][0] for note in notes]
    for name in ("subtotal_money", "discount_money", "tax_money", "total_money"):
        assert sum(row[name]["amount"] for row in rows) == whole[name]["amount"]
    refused(draft_of(api, invoice, units(line_id, 1)), "INVOICE_NOT_CREDITABLE", 409)


def test_d139_the_credit_note_knows_the_discount(api):
    """Two lines of 150.00 and 60.00, 20 % off: the first comes back for 120.00, the second for 48.00."""
    order = discounted(api, 4_200, line(15_000), line(6_000))
    invoice = issued(api, order)
    first, second = line_ids(invoice)

    note = credited(api, invoice, units(first, 1))
    allocate(api, note, 12_000)

    shown = note["credit_note_lines"][0]
    assert (shown["subtotal_money"], shown["discount_money"]) == (wire(eur(15_000)), wire(eur(3_000)))
    assert note["total_money"] == wire(eur(12_000))
    assert_books(invoice["order_id"], total=16_800, credit=12_000, outstanding=4_800)
    assert credited(api, invoice, units(second, 1))["total_money"] == wire(eur(4_800))
    assert sum_of_documents(invoice["order_id"]) == 0


def test_d149_order_invoice_and_credit_note_come_to_the_same_in_any_sequence(api):
    """3 × 733.61 + 2 × 569.67 less 10 % with 22 % tax: the same totals whatever comes first."""
    tax = taxed(22)
    lines = [line(73_361, quantity=3, tax=tax), line(56_967, quantity=2, tax=tax)]
    totals = set()
    for wanted in (lines, lines[::-1]):
        order = discounted(api, 33_402, *wanted)
        invoice = issued(api, order)
        note = credited(api, invoice, *(units(line_id, row["quantity"]) for line_id, row in zip(
            line_ids(invoice), invoice["snapshot"]["line_items"], strict=True)))  # fmt: skip
        allocate(api, note, note["total_money"]["amount"])
        total = order["pricing_amounts"]["total_money"]["amount"]
        assert total == invoice["snapshot"]["pricing_amounts"]["total_money"]["amount"] == note["total_money"]["amount"]
        books = assert_books(order["order_id"], total=total, credit=total, outstanding=0)
        posted = {entry.kind: entry.amount for entry in books.entries.filter(kind__startswith="credit_")}
        sold = dict.fromkeys(("sale_goods", "sale_tax"), 0)
        for entry in books.entries.filter(kind__startswith="sale_"):
            sold[entry.kind] += entry.amount if entry.debit == "receivable" else -entry.amount
        assert posted == {"credit_goods": sold["sale_goods"], "credit_tax": sold["sale_tax"]}
        totals.add(total)
    assert len(totals) == 1


def test_charges_and_the_tip_can_be_credited_too(api):
    tip = {"amount_money": wire(eur(500))}
    order = add_charge(api, create(api, line(1_000), requested_tip=tip), **fee(490))
    invoice = issued(api, order)
    charge_id = invoice["snapshot"]["charges"][0]["order_charge_id"]

    note = credited(api, invoice, units(line_ids(invoice)[0], 1), amount(charge_id, 490), amount("tip", 500))
    allocate(api, note, 1_990)

    books = assert_books(invoice["order_id"], total=1_990, credit=1_990, outstanding=0)
    posted = {entry.kind: entry.amount for entry in books.entries.filter(kind__startswith="credit_")}
    assert posted == {"credit_goods": 1_000, "credit_charge": 490, "credit_tip": 500}
    refused(draft_of(api, invoice, units(charge_id, 1)), "INVOICE_NOT_CREDITABLE", 409)


def test_two_drafts_of_the_same_line_do_not_both_become_real(api, invoice):
    one, two = (drafted(api, invoice, units(line_ids(invoice)[0], 3)) for _ in range(2))

    assert note_act(api, one, "issue").status_code == 200
    response = note_act(api, two, "issue")

    refused(response, "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE")
    assert CreditNote.objects.get(id=two["credit_note_id"]).status == "draft"
    assert sum_of_documents(invoice["order_id"]) == 2_500


def test_a_draft_is_worked_out_again_when_it_is_issued(api):
    invoice = issued(api, discounted(api, 1_000, line(3_333, quantity=3)))
    (line_id,) = line_ids(invoice)
    before = [drafted(api, invoice, units(line_id, 1)) for _ in range(3)]

    notes = [note_act(api, note, "issue").data for note in before]

    assert len({note["total_money"]["amount"] for note in before}) == 1
    assert sum(note["total_money"]["amount"] for note in notes) == 8_999
    assert [note["credit_note_lines"][0]["credit_note_line_id"] for note in notes] == [
        note["credit_note_lines"][0]["credit_note_line_id"] for note in before
    ]


def draft_of(api, invoice, *lines, **body):
    wanted = {"invoice_id": invoice["invoice_id"], "reason": "other", "credit_note_lines": list(lines), **body}
    return api.post("/v1/credit-notes", wanted)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (lambda of: [units(of, 5)], "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE"),
        (lambda of: [amount(of, 10_001)], "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE"),
        (lambda of: [amount(of, 100, "USD")], "CREDIT_NOTE_CURRENCY_MISMATCH"),
        (lambda of: [units("ili_unknown", 1)], "INVALID_CREDIT_NOTE_LINE"),
        (lambda of: [units(of, 1), amount(of, 1)], "INVALID_CREDIT_NOTE_LINE"),
        (lambda of: [{**units(of, 1), "credit_note_line_id": "cnl_unknown"}], "INVALID_CREDIT_NOTE_LINE"),
        (lambda of: [units(of, 0)], "INVALID_CREDIT_NOTE_LINE"),
        (lambda of: [amount(of, 0)], "INVALID_CREDIT_NOTE_LINE"),
        (
            lambda of: [{"invoice_line_item_id": of, "correction": {"type": "half"}}],
            "INVALID_CREDIT_NOTE_CORRECTION_TYPE",
        ),
    ],
)
def test_lines_that_cannot_be(api, invoice, lines, code):
    refused(draft_of(api, invoice, *lines(line_ids(invoice)[0])), code)
    assert not CreditNote.objects.exists()


def test_a_reason_and_a_memo_in_bounds(api, invoice):
    refused(draft_of(api, invoice, reason="mood"), "INVALID_CREDIT_NOTE_REASON")
    refused(draft_of(api, invoice, memo="x" * 4_097), "INVALID_CREDIT_NOTE_MEMO")
    refused(draft_of(api, invoice, credit_note_lines=None), "NULL_NOT_ALLOWED")


def test_an_empty_draft_is_no_document(api, invoice):
    note = draft_of(api, invoice).data

    refused(note_act(api, note, "issue"), "INVALID_CREDIT_NOTE")
    assert read_note(api, note)["status"] == "draft"


def test_a_draft_is_changed_in_one_step(api, invoice):
    note = drafted(api, invoice, memo="Sorry")
    path, line_id = f"/v1/credit-notes/{note['credit_note_id']}", line_ids(invoice)[0]

    refused(api.patch(path, {"credit_note_lines": [units(line_id, 1)]}), "EXPECTED_VERSION_REQUIRED")
    changed = api.patch(
        path,
        {
            "memo": None,
            "reason": "goodwill",
            "credit_note_lines": [units(line_id, 2)],
            "expected_version": note["version"],
        },
    )

    assert (changed.data["reason"], changed.data["total_money"]) == ("goodwill", wire(eur(5_000)))
    assert "memo" not in changed.data
    assert changed.data["version"] == note["version"] + 1
    refused(api.patch(path, {"reason": "other", "expected_version": note["version"]}), "CREDIT_NOTE_CHANGED", 409)
    same = api.patch(path, {"reason": "goodwill"})
    assert same.data["version"] == changed.data["version"]


@pytest.mark.parametrize("state", ["draft", "void"])
def test_d132_only_what_was_issued_and_stands_is_credited(api, state):
    invoice = draft(api)
    if state == "void":
        act(api, invoice, "void")

    refused(draft_of(api, invoice), "INVOICE_NOT_CREDITABLE", 409)
    assert sum_of_documents(invoice["order_id"]) == 0


def test_d132_nothing_is_billed_of_an_order_that_went_back(api, environment):
    """30.00 paid, given back and credited: there is nothing to ask for, so no document is drawn, however often."""
    order = stories.paid_order(environment, total=3_000)
    stories.refund(order)

    for _ in range(2):
        refused(api.post("/v1/invoices", {"order_id": order.id}), "ORDER_ALREADY_PAID", 409)

    assert sum_of_documents(order.id) == 0
    assert_books(order.id, total=3_000, credit=3_000, balance=0)


def test_an_invoice_with_an_issued_note_is_not_voided(api, invoice):
    note = credited(api, invoice)

    refused(act(api, invoice, "void"), "INVOICE_HAS_ISSUED_CREDIT_NOTE", 409)
    note_act(api, note, "void")
    assert act(api, invoice, "void").data["status"] == "void"


# Reading


def test_lists_by_what_is_asked(api, invoice, other_api):
    other = issued(api)
    first = credited(api, invoice, external_reference_id="mine", memo="broken cup")
    second = drafted(api, other)

    def found(**query):
        return [note["credit_note_id"] for note in api.get("/v1/credit-notes", query).data]

    assert found() == [second["credit_note_id"], first["credit_note_id"]]
    for query in (
        {"invoice_id": invoice["invoice_id"]},
        {"status": "issued"},
        {"external_reference_id": "mine"},
        {"query": "cup"},
        {"query": first["credit_note_number"]},
    ):
        assert found(**query) == [first["credit_note_id"]]
    refused(api.get("/v1/credit-notes", {"status": "open"}), "INVALID_CREDIT_NOTE_STATUS")
    assert other_api.get("/v1/credit-notes").data == []
    refused(other_api.get(f"/v1/credit-notes/{first['credit_note_id']}"), "RESOURCE_NOT_FOUND", 404)


@pytest.mark.parametrize("number", [1, 4])
def test_lists_take_as_many_statements_for_any_number(api, invoice, number, django_assert_num_queries):
    for _ in range(number):
        credited(api, invoice, amount(line_ids(invoice)[0], 100))

    with django_assert_num_queries(5):
        assert len(api.get("/v1/credit-notes").data) == number


def test_what_happened_is_told(api, invoice):
    note = credited(api, invoice)
    made = allocate(api, note, 4_000).data["credit_note_allocation"]
    note_act(api, note, f"allocations/{made['credit_note_allocation_id']}/reverse")
    note_act(api, note, "void")

    events = CreditNote.objects.get(id=note["credit_note_id"]).order.events.order_by("sequence")
    told = [event.type for event in events.filter(subject_id=note["credit_note_id"])]
    assert told == [
        "credit_note.created",
        "credit_note.issued",
        "credit_note.allocation_created",
        "credit_note.allocation_reversed",
        "credit_note.voided",
    ]
    assert read_invoice(api, invoice)["status"] == "open"


def test_the_order_explains_what_was_credited(api, invoice):
    note = credited(api, invoice, units(line_ids(invoice)[0], 2))
    by_hand(api, invoice, 1_000)
    allocate(api, note, 4_000)
    made = allocate(api, note, 500, key="second").data["credit_note_allocation"]
    note_act(api, note, f"allocations/{made['credit_note_allocation_id']}/reverse")

    explained = api.get(f"/v1/orders/{invoice['order_id']}/explanation")

    assert explained.status_code == 200, explained.error
    (figure,) = [each for each in explained.data["figures"] if each["figure"] == "credit"]
    assert figure["amount_money"] == wire(eur(4_000))
    assert {term["resource"]["resource_id"] for term in figure["terms"]} == {note["credit_note_id"]}


# The guard


def test_the_database_keeps_an_issued_note_as_it_is(api, invoice):
    note = credited(api, invoice)
    rows = CreditNote.objects.filter(id=note["credit_note_id"])
    for columns in ({"total_amount": 1}, {"memo": "x"}, {"number": "CN-9"}):
        with pytest.raises(IntegrityError, match="stays as it is"), transaction.atomic():
            rows.update(**columns)
    with pytest.raises(IntegrityError, match="stays as it is"), transaction.atomic():
        CreditNoteLine.objects.filter(note_id=note["credit_note_id"]).update(total_amount=1)


def test_the_database_refuses_an_allocation_that_the_ledger_does_not_know(api, invoice):
    note = credited(api, invoice)
    row = CreditNote.objects.get(id=note["credit_note_id"])

    with pytest.raises(IntegrityError, match="allocations_are_in_the_ledger"), transaction.atomic():
        CreditNoteAllocation.objects.create(
            environment_id=row.environment_id,
            note=row,
            amount=100,
            idempotency_key="forged",
            command_digest="0",
            allocated_at=row.issued_at,
        )
        check_guard()


def test_the_database_refuses_notes_beyond_their_invoice(api, invoice):
    credited(api, invoice, units(line_ids(invoice)[0], 3))
    row = CreditNote.objects.get()
    later = {"sequence": 2, "number": "CN-2", "issued_at": row.issued_at, "snapshot": row.snapshot}
    forged = CreditNote(
        environment_id=row.environment_id, invoice=row.invoice, order=row.order, currency="EUR", reason="other",
        total_amount=7_500, **later,
    )  # fmt: skip
    forged.__dict__["status"] = "issued"
    with pytest.raises(IntegrityError, match="credit_note"), transaction.atomic():
        forged.save(force_insert=True)
        check_guard()
