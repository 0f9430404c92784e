"""Which invoices there are, found by all that they can be found by."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from flint.actors import system
from flint.testing import stories
from flint.testing.stories import eur, wire
from invoices.reading import readable, standing_of
from invoices.selectors import is_overdue, receivables_of, with_outstanding
from invoices.tests.asking import act, by_hand, draft, issue, issued
from orders.models import Customer
from orders.tests.sales import create, line, refused

SORTS = ["created_at", "updated_at", "due_at", "invoice_number", "outstanding_money"]


def ids(api, **query):
    response = api.get("/v1/invoices", query)
    assert response.status_code == 200, response.error
    return [invoice["invoice_id"] for invoice in response.data]


def customer_of(api, email="ada@example.com", name="Ada Lovelace"):
    return api.post("/v1/customers", {"email": email, "name": name}).data["customer_id"]


def due(at) -> dict:
    return {"type": "absolute", "due_at": at.isoformat()}


@pytest.fixture
def several(api):
    """Invoices in every state, by name."""
    ada = customer_of(api)
    made = {
        "draft": draft(api, create(api, line(1_000), customer_id=ada), po_number="PO-7"),
        "open": issued(api, create(api, line(2_000)), external_reference_id="ours-1"),
        "late": issued(api, create(api, line(3_000)), payment_due=due(datetime(2026, 1, 31, tzinfo=UTC))),
        "part": issued(
            api, create(api, line(4_000), customer_id=ada), payment_due=due(timezone.now() + timedelta(days=3))
        ),
        "paid": issued(api, create(api, line(5_000))),
        "void": issued(api, create(api, line(6_000))),
        "lost": issued(api, create(api, line(7_000))),
    }
    by_hand(api, made["part"], 1_500)
    by_hand(api, made["paid"], 5_000)
    act(api, made["void"], "void")
    act(api, made["lost"], "mark-uncollectible")
    return {name: invoice["invoice_id"] for name, invoice in made.items()}


def named(several, found):
    names = {invoice_id: name for name, invoice_id in several.items()}
    return {names[invoice_id] for invoice_id in found}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "open"}, {"open", "late"}),
        ({"status": ["paid", "void"]}, {"paid", "void"}),
        ({"status": "draft,uncollectible"}, {"draft", "lost"}),
        ({"is_overdue": "true"}, {"late"}),
        ({"is_overdue": "false"}, {"draft", "open", "part", "paid", "void", "lost"}),
        ({"has_amount_due": "true"}, {"open", "late", "part"}),
        ({"has_amount_due": "false"}, {"draft", "paid", "void", "lost"}),
        ({"external_reference_id": "ours-1"}, {"open"}),
        ({"due_before": "2026-02-01T00:00:00Z"}, {"late"}),
        ({"due_after": "2026-02-01T00:00:00Z"}, {"part"}),
        ({"created_before": "2026-01-01T00:00:00Z"}, set()),
        ({"query": "inv-000002"}, {"late"}),
        ({"query": "PO-7"}, {"draft"}),
        ({"query": "lovelace"}, {"draft", "part"}),
        ({"query": "ours-1"}, {"open"}),
    ],
)
def test_invoices_are_found_by(api, several, query, expected):
    assert named(several, ids(api, **query)) == expected


def test_invoices_are_found_by_order_customer_and_id(api, several):
    invoice = api.get(f"/v1/invoices/{several['part']}").data

    assert ids(api, order_id=invoice["order_id"]) == [several["part"]]
    assert named(several, ids(api, customer_id=invoice["customer_id"])) == {"draft", "part"}
    assert ids(api, query=several["paid"].lower()) == [several["paid"]]


@pytest.mark.parametrize("sort_by", SORTS)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_come_in_order_and_leave_nothing_out(api, several, sort_by, direction):
    query = {"sort_by": sort_by, "sort_direction": direction, "page_size": 2}
    found, token = [], None
    while True:
        page = api.get("/v1/invoices", {**query, **({"page_token": token} if token else {})})
        found += page.data
        token = page.json().get("next_page_token")
        if token is None:
            break

    def key(invoice):
        far = "9999"
        values = {
            "due_at": invoice.get("due_at", far),
            "invoice_number": invoice.get("invoice_number", ""),
            "outstanding_money": invoice["outstanding_money"]["amount"],
        }
        return values.get(sort_by, invoice.get(sort_by))

    assert {invoice["invoice_id"] for invoice in found} == set(several.values())
    assert [key(invoice) for invoice in found] == sorted(map(key, found), reverse=direction == "desc")


def test_the_database_and_the_invoice_agree_on_what_is_asked(api, several, environment):
    """The list filters and sorts by formulas of its own."""
    growing = create(api, line(8_000))
    stories.pay(stories.Order.objects.get(id=growing["order_id"]))
    api.post(f"/v1/orders/{growing['order_id']}/line-items", {"line_items": [line(700)]})
    issue(api, draft(api, growing))
    parts = [
        {"kind": "deposit", "amount_specification": {"type": "percentage", "percent": 25}, "due": {"type": "at_issue"}},
        {
            "kind": "balance",
            "amount_specification": {"type": "remaining_balance"},
            "due": {"type": "date", "due_at": "2027-06-01T00:00:00Z"},
        },
    ]
    issued(api, create(api, line(9_000)), schedule_entries=parts)
    actor, now = system(environment.id), timezone.now()

    for at in (now, now + timedelta(days=2), now + timedelta(days=400)):
        late = set(with_outstanding(readable(actor)).filter(is_overdue(at=at)).values_list("id", flat=True))
        for invoice in with_outstanding(readable(actor)):
            standing = standing_of(invoice, at)
            assert invoice.outstanding == standing.amounts.outstanding, invoice
            assert (invoice.id in late) == standing.asked.is_overdue, (invoice, at)


def test_what_a_customer_owes_is_summed_by_currency(api, several):
    ada = Customer.objects.get(email="ada@example.com")
    dollars = create(api, {"name": "Cup", "unit_price_money": {"amount": 900, "currency": "USD"}}, customer_id=ada.id)
    issued(api, dollars, payment_due=due(datetime(2026, 1, 31, tzinfo=UTC)))

    found = receivables_of(ada)

    assert {(str(owed.currency), owed.amount, overdue.amount) for owed, overdue in found} == {
        ("EUR", 2_500, 0),
        ("USD", 900, 900),
    }


def test_a_customer_without_invoices_owes_nothing(api):
    customer_id = customer_of(api)

    assert receivables_of(Customer.objects.get(id=customer_id)) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"status": "lost"}, "INVALID_INVOICE_STATUS"),
        ({"is_overdue": "maybe"}, "INVALID_BOOLEAN"),
        ({"has_amount_due": "1"}, "INVALID_BOOLEAN"),
        ({"due_after": "tomorrow"}, "INVALID_DUE_AFTER"),
        ({"due_before": "2026-01-01"}, "INVALID_DUE_BEFORE"),
        ({"due_after": "2026-02-01T00:00:00Z", "due_before": "2026-01-01T00:00:00Z"}, "INVALID_DUE_RANGE"),
        ({"sort_by": "memo"}, "INVALID_SORT_BY"),
        ({"page_size": "0"}, "INVALID_PAGE_SIZE"),
        ({"page_token": "x"}, "INVALID_PAGE_TOKEN"),
        ({"number": "x"}, "UNSUPPORTED_QUERY_PARAM"),
    ],
)
def test_what_cannot_be_asked_is_refused(api, query, code):
    refused(api.get("/v1/invoices", query), code)


def test_a_page_takes_a_fixed_number_of_statements(api, several, django_assert_num_queries):
    for _ in range(5):
        issued(api, create(api, line(100)))

    # The key; then the page, the entries, the late fees, the orders' invoices and those invoices' late fees.
    with django_assert_num_queries(6):
        api.get("/v1/invoices", {"page_size": 3})
    with django_assert_num_queries(6):
        api.get("/v1/invoices", {"page_size": 12})


def test_an_invoice_shows_its_customer_and_its_order(api):
    order = create(api, line(1_000), customer_id=customer_of(api))
    invoice = issued(api, order)

    shown = api.get(f"/v1/invoices/{invoice['invoice_id']}", {"expand": "customer,order"}).data

    assert shown["customer"]["email"] == "ada@example.com"
    assert shown["order"]["line_items"][0]["total_money"] == wire(eur(1_000))
    assert "order" not in api.get(f"/v1/invoices/{invoice['invoice_id']}").data
    refused(api.get(f"/v1/invoices/{invoice['invoice_id']}", {"expand": "lines"}), "INVALID_EXPAND")


def test_the_history_of_an_invoice_tells_what_happened(api):
    invoice = issued(api)
    by_hand(api, invoice, 4_000)
    act(api, invoice, "mark-uncollectible")

    path = f"/v1/invoices/{invoice['invoice_id']}/activities"
    told = api.get(path, {"sort_direction": "asc"}).data

    assert [row["activity_type"] for row in told] == [
        "draft_created",
        "issued",
        "manual_payment_recorded",
        "marked_uncollectible",
    ]
    assert told[2]["amount_money"] == wire(eur(4_000))
    assert told[3]["written_off_money"] == wire(eur(6_000))
    assert told[0]["actor_type"] == "merchant"
    assert [row["activity_type"] for row in api.get(path, {"type": "issued"}).data] == ["issued"]
    refused(api.get(path, {"type": "nonsense"}), "INVALID_ACTIVITY_TYPE")
