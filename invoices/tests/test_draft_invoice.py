"""Preparing invoices: what a draft takes, what may be changed of it, and what is refused."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.testing import stories
from flint.testing.stories import eur, wire
from invoices.models import Invoice
from invoices.services.issuing import issue_invoice
from invoices.tests.asking import act, amounts, draft, issue, issued
from orders.models import Customer
from orders.tests.sales import create, line, nothing_moves, refused

DEPOSIT = {
    "kind": "deposit",
    "amount_specification": {"type": "percentage", "percent": 30},
    "due": {"type": "at_issue"},
}
BALANCE = {
    "kind": "balance",
    "amount_specification": {"type": "remaining_balance"},
    "due": {"type": "date", "due_at": "2027-01-31T12:00:00Z"},
}
ADDRESS = {"line1": "1 Rue X", "city": "Paris", "state": "IDF", "postal_code": "75001", "country": "FR"}


def change(api, invoice, **body):
    return api.patch(f"/v1/invoices/{invoice['invoice_id']}", body)


def test_a_draft_keeps_what_it_was_given(api):
    invoice = draft(
        api,
        recipient_email="ada@buyer.example",
        cc_emails=["eva@buyer.example", "eva@buyer.example"],
        payment_due={"type": "absolute", "due_at": "2027-02-28T22:00:00Z"},
        collection={"mode": "buyer_initiated", "payment_policy": {"enabled_payment_options": ["card"]}},
        service_at="2026-11-01T00:00:00Z",
        memo="Thank you",
        footer="Registered in Paris",
        po_number="PO-7",
        reference="Job 12",
        remit_to_address=ADDRESS,
        external_reference_id="ours-1",
        metadata={"shelf": "3"},
    )

    assert (invoice["status"], invoice["version"]) == ("draft", 1)
    assert invoice["cc_emails"] == ["eva@buyer.example"]
    assert invoice["due_at"] == "2027-02-28T22:00:00.000Z"
    assert invoice["payment_policy"] == {"enabled_payment_options": ["card"]}
    assert invoice["remit_to_address"] == ADDRESS
    told = ("recipient_email", "service_at", "memo", "footer", "po_number", "reference", "external_reference_id")
    assert [invoice[name] for name in told] == [
        "ada@buyer.example",
        "2026-11-01T00:00:00.000Z",
        "Thank you",
        "Registered in Paris",
        "PO-7",
        "Job 12",
        "ours-1",
    ]
    assert invoice["metadata"] == {"shelf": "3"}
    assert not {"invoice_number", "public_url", "snapshot", "issued_at"} & set(invoice)


def test_a_draft_is_changed_sparsely_and_cleared_by_null(api):
    invoice = draft(api, memo="Thanks", po_number="PO-7", metadata={"a": "1", "b": "2"})

    changed = change(api, invoice, memo=None, reference="Job", metadata={"b": None, "c": "3"}).data

    assert ("memo" in changed, changed["po_number"], changed["reference"]) == (False, "PO-7", "Job")
    assert (changed["metadata"], changed["version"]) == ({"a": "1", "c": "3"}, 2)


def test_a_draft_follows_its_order_until_it_is_issued(api):
    order = create(api, line(1_000))
    invoice = draft(api, order)
    api.post(f"/v1/orders/{order['order_id']}/line-items", {"line_items": [line(500)]})

    assert amounts(api.get(f"/v1/invoices/{invoice['invoice_id']}").data)["outstanding"] == 1_500
    assert issue(api, invoice)["snapshot"]["pricing_amounts"]["total_money"] == wire(eur(1_500))


def test_a_draft_follows_its_orders_customer(api, environment):
    ada = Customer.objects.create(environment=environment, email="ada@buyer.example")
    order = create(api, line(1_000))
    invoice = draft(api, order)

    api.patch(f"/v1/orders/{order['order_id']}", {"customer_id": ada.id})

    assert api.get(f"/v1/invoices/{invoice['invoice_id']}").data["customer_id"] == ada.id
    assert [each["invoice_id"] for each in api.get("/v1/invoices", {"customer_id": ada.id}).data] == [
        invoice["invoice_id"]
    ]


def test_a_schedule_is_replaced_as_a_whole(api):
    invoice = draft(api, schedule_entries=[DEPOSIT, BALANCE])
    deposit, balance = invoice["schedule_entries"]
    assert [each["total_money"]["amount"] for each in (deposit, balance)] == [3_000, 7_000]
    assert deposit["amount_specification"] == {"type": "percentage", "percent": 30}

    half = {**DEPOSIT, "amount_specification": {"type": "fixed", "amount_money": wire(eur(5_000))}}
    kept = {**BALANCE, "invoice_schedule_entry_id": balance["invoice_schedule_entry_id"]}
    changed = change(api, invoice, schedule_entries=[half, kept], expected_version=1).data

    first, second = changed["schedule_entries"]
    assert first["invoice_schedule_entry_id"] != deposit["invoice_schedule_entry_id"]
    assert second["invoice_schedule_entry_id"] == balance["invoice_schedule_entry_id"]
    assert [each["total_money"]["amount"] for each in (first, second)] == [5_000, 5_000]
    assert change(api, invoice, schedule_entries=[], expected_version=2).data["schedule_entries"] == []


def test_a_schedule_needs_the_version_that_was_looked_at(api):
    invoice = draft(api)

    with nothing_moves():
        refused(change(api, invoice, schedule_entries=[DEPOSIT, BALANCE]), "EXPECTED_VERSION_REQUIRED")
        stale = change(api, invoice, memo="x", expected_version=7)
    refused(stale, "INVOICE_DRAFT_CHANGED", status=409, param="expected_version")


def test_an_entry_of_another_invoice_is_not_kept(api):
    other = draft(api, schedule_entries=[DEPOSIT, BALANCE])
    invoice = draft(api)
    stolen = {**BALANCE, "invoice_schedule_entry_id": other["schedule_entries"][1]["invoice_schedule_entry_id"]}

    with nothing_moves():
        refused(
            change(api, invoice, schedule_entries=[DEPOSIT, stolen], expected_version=1), "INVOICE_SCHEDULE_INVALID"
        )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"recipient_email": "nobody"}, "INVALID_EMAIL_FORMAT"),
        ({"cc_emails": ["nobody"]}, "INVALID_EMAIL_FORMAT"),
        ({"cc_emails": ["a@b.example"] * 21}, "RESOURCE_LIMIT_EXCEEDED"),
        ({"cc_emails": "a@b.example"}, "INVALID_REQUEST"),
        ({"payment_due": "tomorrow"}, "INVALID_INVOICE_PAYMENT_DUE"),
        ({"payment_due": {}}, "INVALID_INVOICE_PAYMENT_DUE_TYPE"),
        ({"payment_due": {"type": "never"}}, "INVALID_INVOICE_PAYMENT_DUE_TYPE"),
        ({"payment_due": {"type": "absolute"}}, "FIELD_REQUIRED"),
        ({"payment_due": {"type": "absolute", "due_at": "soon"}}, "INVALID_TIMESTAMP"),
        ({"payment_due": {"type": "none", "due_at": "2027-01-01T00:00:00Z"}}, "UNKNOWN_FIELD"),
        (
            {"payment_due": {"type": "payment_terms", "invoice_payment_term_id": "ipt_01J00000000000000000000000"}},
            "INVALID_INVOICE_PAYMENT_TERM",
        ),
        ({"collection": {"mode": "later"}}, "INVALID_INVOICE_COLLECTION_MODE"),
        ({"collection": []}, "INVALID_INVOICE_COLLECTION"),
        ({"collection": {"mode": "external", "payment_method_id": "pm_1"}}, "UNKNOWN_FIELD"),
        ({"collection": {"mode": "merchant_default", "payment_policy": {}}}, "UNKNOWN_FIELD"),
        ({"collection": {"mode": "buyer_initiated", "payment_policy": {}}}, "INVOICE_PAYMENT_OPTIONS_REQUIRED"),
        (
            {"collection": {"mode": "buyer_initiated", "payment_policy": {"enabled_payment_options": ["cash"]}}},
            "INVALID_INVOICE_PAYMENT_POLICY",
        ),
        ({"schedule_entries": None}, "NULL_NOT_ALLOWED"),
        ({"schedule_entries": [DEPOSIT] * 15}, "INVOICE_SCHEDULE_INVALID"),
        ({"schedule_entries": [BALANCE, DEPOSIT]}, "INVOICE_SCHEDULE_INVALID"),
        ({"schedule_entries": [DEPOSIT]}, "INVOICE_SCHEDULE_INVALID"),
        ({"schedule_entries": [{**DEPOSIT, "kind": "tip"}, BALANCE]}, "INVOICE_SCHEDULE_INVALID"),
        ({"schedule_entries": [{**DEPOSIT, "due": {"type": "whenever"}}, BALANCE]}, "INVOICE_SCHEDULE_INVALID"),
        (
            {
                "schedule_entries": [
                    {
                        **DEPOSIT,
                        "amount_specification": {"type": "fixed", "amount_money": {"amount": 1, "currency": "USD"}},
                    },
                    BALANCE,
                ]
            },
            "CURRENCY_MISMATCH",
        ),
        ({"scheduled_send_at": "2020-01-01T00:00:00Z"}, "SCHEDULED_SEND_IN_PAST"),
        ({"scheduled_send_at": 5}, "INVALID_TIMESTAMP"),
        ({"service_at": "x"}, "INVALID_TIMESTAMP"),
        ({"memo": "x" * 4_097}, "VALUE_TOO_LONG"),
        ({"footer": 5}, "INVALID_REQUEST"),
        ({"po_number": "x" * 256}, "VALUE_TOO_LONG"),
        ({"reference": ["x"]}, "INVALID_REQUEST"),
        ({"remit_to_address": {**ADDRESS, "country": "France"}}, "INVALID_COUNTRY"),
        ({"external_reference_id": ""}, "INVALID_EXTERNAL_REFERENCE_ID"),
        ({"metadata": {"flint_x": "1"}}, "RESERVED_METADATA_KEY"),
        ({"number": "INV-7"}, "UNKNOWN_FIELD"),
        ({"status": "paid"}, "UNKNOWN_FIELD"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "change"])
def test_what_makes_no_sense_is_refused(api, verb, body, code):
    order = create(api, line(10_000))
    if verb == "create":
        with nothing_moves():
            response = api.post("/v1/invoices", {"order_id": order["order_id"], **body})
    else:
        invoice = draft(api, order)
        with nothing_moves():
            response = change(api, invoice, expected_version=1, **body)

    refused(response, code)
    assert Invoice.objects.count() == (0 if verb == "create" else 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVOICE_SOURCE_REQUIRED"),
        ({"order_id": "ord_1", "quick_pay": {"line_items": [line(1)]}}, "INVOICE_SOURCE_CONFLICT"),
        ({"quick_pay": 5}, "INVALID_INVOICE_DRAFT_SOURCE"),
        ({"quick_pay": {"line_items": []}}, "MISSING_LINE_ITEMS"),
        ({"quick_pay": {"line_items": [{"name": "Cup"}]}}, "LINE_ITEM_UNIT_PRICE_REQUIRED"),
        ({"quick_pay": {"line_items": [line(0)]}}, "ORDER_ALREADY_PAID"),
        ({"order_id": 5}, "INVALID_ID"),
    ],
)
def test_an_invoice_bills_one_thing(api, body, code):
    with nothing_moves():
        refused(api.post("/v1/invoices", body), code, status=409 if code == "ORDER_ALREADY_PAID" else 400)


def test_an_order_that_is_not_there_is_not_billed(api):
    refused(api.post("/v1/invoices", {"order_id": "ord_01J00000000000000000000000"}), "ORDER_NOT_FOUND", status=404)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"delivery_mode": "pigeon"}, "INVALID_DELIVERY_MODE"),
        ({"expected_version": 0}, "INVALID_EXPECTED_VERSION"),
        ({"expected_version": "1"}, "INVALID_JSON"),
        ({"number": "X"}, "UNKNOWN_FIELD"),
        ({"delivery_mode": "email"}, "RECIPIENT_EMAIL_REQUIRED"),
        (None, "INVALID_REQUEST_BODY"),
    ],
)
def test_an_issue_that_makes_no_sense_is_refused(api, body, code):
    invoice = draft(api)

    with nothing_moves():
        refused(act(api, invoice, "issue", body), code)


def test_nothing_of_an_issued_invoice_changes_but_its_reminders(api):
    invoice = issued(api)

    with nothing_moves():
        refused(change(api, invoice, memo="x"), "INVOICE_NOT_DRAFT", status=409)
        refused(change(api, invoice, memo="x", reminders_paused=True), "INVOICE_NOT_DRAFT", status=409)
    paused = change(api, invoice, reminders_paused=True, expected_version=invoice["version"]).data
    again = change(api, invoice, reminders_paused=True).data
    on = change(api, invoice, reminders_paused=False).data

    assert (paused["reminders_paused"], "reminders_paused_at" in paused) == (True, True)
    assert again["version"] == paused["version"] == on["version"] - 1
    assert (on["reminders_paused"], "reminders_paused_at" in on) == (False, False)


def test_reminders_of_a_draft_or_a_void_invoice_are_not_paused(api):
    invoice = draft(api)
    refused(change(api, invoice, reminders_paused=True), "INVALID_INVOICE")
    act(api, invoice, "void")
    with nothing_moves():
        refused(change(api, invoice, reminders_paused=True), "INVOICE_NOT_COLLECTIBLE", status=409)
        refused(change(api, invoice), "NO_FIELDS_TO_UPDATE")


def test_terms_are_frozen_at_issue(api, environment):
    body = {"name": "Net 30", "calculation": {"type": "net_days", "days": 30}}
    term = api.post("/v1/invoice-payment-terms", body).data
    path = f"/v1/invoice-payment-terms/{term['invoice_payment_term_id']}"
    due = {"type": "payment_terms", "invoice_payment_term_id": term["invoice_payment_term_id"]}
    first, second = draft(api, payment_due=due), draft(api, payment_due=due)
    assert "due_at" not in first

    def issue_then(invoice):
        at, actor = datetime(2026, 11, 25, 10, tzinfo=UTC), stories.actor_in(environment)
        issue_invoice(invoice_id=invoice["invoice_id"], delivery_mode="caller_managed", actor=actor, at=at)
        return api.get(f"/v1/invoices/{invoice['invoice_id']}").data

    before = issue_then(first)
    api.patch(path, {"calculation": {"type": "on_receipt"}, "name": "At once"})
    after = issue_then(second)

    assert before["due_at"] == "2026-12-25T23:59:59.000Z"
    assert before["payment_terms_snapshot"] == {
        "invoice_payment_term_id": term["invoice_payment_term_id"],
        "name": "Net 30",
        "revision": 1,
        "calculation": {"type": "net_days", "days": 30},
    }
    assert (after["due_at"], after["payment_terms_snapshot"]["revision"]) == ("2026-11-25T23:59:59.000Z", 2)
    assert api.get(f"/v1/invoices/{first['invoice_id']}").data["due_at"] == before["due_at"]


def test_an_archived_term_is_not_agreed_on(api, environment):
    term = stories.payment_term(environment)
    due = {"type": "payment_terms", "invoice_payment_term_id": term.id}
    waiting = draft(api, payment_due=due)
    assert api.delete(f"/v1/invoice-payment-terms/{term.id}").data["status"] == "archived"

    with nothing_moves():
        refused(
            act(api, waiting, "issue", {"delivery_mode": "caller_managed"}), "INVOICE_PAYMENT_TERM_UNAVAILABLE", 409
        )
    order = create(api)
    with nothing_moves():
        response = api.post("/v1/invoices", {"order_id": order["order_id"], "payment_due": due})
        refused(response, "INVOICE_PAYMENT_TERM_UNAVAILABLE", 409)
        for type, code in (
            ("merchant_default", "INVOICE_PAYMENT_TERM_UNAVAILABLE"),
            ("customer_default", "CUSTOMER_PAYMENT_TERM_UNAVAILABLE"),
        ):
            response = api.post("/v1/invoices", {"order_id": order["order_id"], "payment_due": {"type": type}})
            refused(response, code, 409)


def test_a_late_fee_in_another_currency_fits_no_invoice(api):
    fee = {"type": "fixed", "amount_money": {"amount": 500, "currency": "USD"}, "grace_period_days": 3}
    body = {"name": "Net", "calculation": {"type": "on_receipt"}, "late_fee_policy": fee}
    term = api.post("/v1/invoice-payment-terms", body).data
    order = create(api)
    due = {"type": "payment_terms", "invoice_payment_term_id": term["invoice_payment_term_id"]}

    with nothing_moves():
        response = api.post("/v1/invoices", {"order_id": order["order_id"], "payment_due": due})
    refused(response, "INVOICE_PAYMENT_TERM_CURRENCY_MISMATCH")


def test_a_document_is_numbered_with_the_merchants_prefix(api):
    api.patch("/v1/settings", {"invoices": {"invoice_number_prefix": "2026-"}, "expected_version": 1})
    first = issued(api)
    api.patch("/v1/settings", {"invoices": {"invoice_number_prefix": ""}, "expected_version": 2})
    second = issued(api)

    assert (first["invoice_number"], second["invoice_number"]) == ("2026-000001", "000002")


def test_an_issued_invoice_keeps_what_it_said(api, environment):
    ada = Customer.objects.create(
        environment=environment, email="ada@buyer.example", name="Ada", billing_address=ADDRESS
    )
    order = create(api, line(1_000, quantity=2), customer_id=ada.id, internal_note="VIP")
    invoice = issued(api, order, memo="Thanks")

    api.patch(f"/v1/customers/{ada.id}", {"name": "Augusta", "billing_address": None})
    snapshot = api.get(f"/v1/invoices/{invoice['invoice_id']}").data["snapshot"]

    assert snapshot == invoice["snapshot"]
    assert (snapshot["customer_display_name"], snapshot["billing_address"]) == ("Ada", ADDRESS)
    assert (snapshot["memo"], snapshot["internal_note"]) == ("Thanks", "VIP")
    assert snapshot["merchant_display_name"] == "Corner Shop Ltd"


def test_issuing_takes_a_fixed_number_of_statements(api):
    few, many = draft(api), draft(api, create(api, *[line(100 + n) for n in range(40)]))

    counts = []
    for invoice in (few, many):
        with CaptureQueriesContext(connection) as asked:
            issue(api, invoice)
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 36


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": ""}, "FIELD_REQUIRED"),
        ({"name": "x" * 256}, "VALUE_TOO_LONG"),
        ({"calculation": {"type": "net_days"}}, "FIELD_REQUIRED"),
        ({"calculation": {"type": "net_days", "days": -1}}, "INVALID_INVOICE_PAYMENT_TERM"),
        ({"calculation": {"type": "net_days", "days": 1, "day": 1}}, "UNKNOWN_FIELD"),
        ({"calculation": {"type": "day_of_month", "day": 32}}, "INVALID_INVOICE_PAYMENT_TERM"),
        ({"calculation": {"type": "someday"}}, "INVALID_INVOICE_PAYMENT_TERM"),
        ({"late_fee_policy": {"type": "fixed", "grace_period_days": 1}}, "FIELD_REQUIRED"),
        (
            {"late_fee_policy": {"type": "percentage", "percent": 0, "grace_period_days": 1}},
            "INVALID_INVOICE_LATE_FEE_AMOUNT",
        ),
        (
            {
                "late_fee_policy": {
                    "type": "percentage",
                    "percent": 5,
                    "amount_money": wire(eur(1)),
                    "grace_period_days": 1,
                }
            },
            "UNKNOWN_FIELD",
        ),
        ({"external_reference_id": ""}, "INVALID_EXTERNAL_REFERENCE_ID"),
    ],
)
def test_a_term_that_makes_no_sense_is_refused(api, body, code):
    good = {"name": "Net", "calculation": {"type": "on_receipt"}}

    refused(api.post("/v1/invoice-payment-terms", {**good, **body}), code)


def test_terms_are_listed_changed_and_archived_once(api):
    made = api.post(
        "/v1/invoice-payment-terms",
        {"name": "Net 14", "calculation": {"type": "net_days", "days": 14}, "external_reference_id": "t-1"},
    ).data
    path = f"/v1/invoice-payment-terms/{made['invoice_payment_term_id']}"
    fee = {"type": "percentage", "percent": 1.5, "grace_period_days": 5, "application_mode": "automatic"}

    changed = api.patch(path, {"late_fee_policy": fee, "expected_version": 1}).data
    assert (changed["version"], changed["late_fee_policy"]["percent"]) == (2, 1.5)
    refused(api.patch(path, {"name": "x", "expected_version": 1}), "INVOICE_PAYMENT_TERM_CHANGED", 409)
    assert "late_fee_policy" not in api.patch(path, {"late_fee_policy": None}).data
    for query in ({"status": "active"}, {"external_reference_id": "t-1"}, {"query": "net 1"}):
        assert len(api.get("/v1/invoice-payment-terms", query).data) == 1
    refused(api.call("DELETE", path, query={"expected_version": "1"}), "INVOICE_PAYMENT_TERM_CHANGED", 409)
    assert api.delete(path).data["status"] == api.delete(path).data["status"] == "archived"
    assert api.get("/v1/invoice-payment-terms", {"status": "active"}).data == []


def test_a_default_term_stays_in_use(api):
    made = api.post("/v1/invoice-payment-terms", {"name": "Net", "calculation": {"type": "on_receipt"}}).data
    term_id = made["invoice_payment_term_id"]
    set_to = {"invoices": {"default_invoice_payment_term_id": term_id}, "expected_version": 1}
    assert api.patch("/v1/settings", set_to).status_code == 200

    refused(api.delete(f"/v1/invoice-payment-terms/{term_id}"), "INVOICE_PAYMENT_TERM_IN_USE", 409)
    assert issued(api)["payment_terms_snapshot"]["invoice_payment_term_id"] == term_id


def test_a_date_of_now_is_kept_as_a_moment(api):
    moment = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
    invoice = issued(api, payment_due={"type": "absolute", "due_at": moment.isoformat()})

    assert invoice["due_at"] == "2027-03-28T00:30:00.000Z"
