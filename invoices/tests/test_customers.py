"""What invoices have to do with customers: their own payment term, their tax identity, and what they owe."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.testing import stories
from flint.testing.stories import actor_in, line
from invoices.models import InvoicePaymentTerm
from orders.services import create_customer

PATH = "/v1/customers"
NAME = "default_invoice_payment_term_id"
IDENTITY = {
    "legal_name": "Lovelace & Co.",
    "registered_address": {
        "line1": "Ring 1",
        "city": "Bonn",
        "state": "NW",
        "postal_code": "53111",
        "country": "DE",
    },
    "tax_ids": [{"type": "eu_vat", "value": "DE123456789", "country": "DE"}],
}


def term(environment, **columns):
    due = {"type": "net_days", "days": 14}
    return InvoicePaymentTerm.objects.create(environment=environment, name="14 days", calculation=due, **columns)


@pytest.fixture
def ada(api):
    return api.post(PATH, {"email": "ada@buyer.example"}).data["customer_id"]


def test_a_payment_term_and_a_tax_identity_are_kept_and_cleared(api, environment):
    sent = {"email": "ada@buyer.example", "tax_identity": IDENTITY, NAME: term(environment).id}

    made = api.post(PATH, sent)
    assert made.status_code == 201, made.error
    assert {name: made.data[name] for name in sent} == sent

    cleared = api.patch(f"{PATH}/{made.data['customer_id']}", {"tax_identity": None, NAME: None, "expected_version": 1})
    assert cleared.status_code == 200, cleared.error
    assert {"tax_identity", NAME}.isdisjoint(cleared.data)


@pytest.mark.parametrize("verb", ["post", "patch"])
@pytest.mark.parametrize(
    ("whose", "status", "code"),
    [
        ("theirs", 400, "INVALID_INVOICE_PAYMENT_TERM"),
        ("nobody's", 400, "INVALID_INVOICE_PAYMENT_TERM"),
        ("archived", 409, "INVOICE_PAYMENT_TERM_UNAVAILABLE"),
    ],
)
def test_a_payment_term_that_no_invoice_could_take_is_refused(
    api, other_api, environment, ada, verb, whose, status, code
):
    found = {
        "theirs": lambda: term(other_api.environment).id,
        "nobody's": lambda: "ipt_unknown",
        "archived": lambda: term(environment, status="archived").id,
    }[whose]()
    before = api.get(PATH).data

    if verb == "post":
        answer = api.post(PATH, {"email": "bob@buyer.example", NAME: found})
    else:
        answer = api.patch(f"{PATH}/{ada}", {NAME: found})

    assert (answer.status_code, answer.code, answer.error["param"]) == (status, code, NAME)
    assert api.get(PATH).data == before


@pytest.mark.parametrize(
    ("identity", "code", "param"),
    [
        ({"legal_name": ""}, "FIELD_REQUIRED", "tax_identity.legal_name"),
        ({"legal_name": "x" * 256}, "VALUE_TOO_LONG", "tax_identity.legal_name"),
        ({"tax_ids": [{"type": "eu_vat"}]}, "FIELD_REQUIRED", "tax_identity.tax_ids[0].value"),
        ({"tax_ids": [{"type": "EU VAT", "value": "1"}]}, "INVALID_REQUEST", "tax_identity.tax_ids[0].type"),
        ({"tax_ids": [IDENTITY["tax_ids"][0]] * 21}, "RESOURCE_LIMIT_EXCEEDED", "tax_identity.tax_ids"),
        ({"vat": "DE1"}, "UNKNOWN_FIELD", "tax_identity.vat"),
        ([], "INVALID_REQUEST", "tax_identity"),
    ],
)
def test_a_tax_identity_has_its_form(api, ada, identity, code, param):
    answer = api.patch(f"{PATH}/{ada}", {"tax_identity": identity})

    assert (answer.status_code, answer.code, answer.error["param"]) == (400, code, param)


def owing(environment, customer_id: str, *amounts: int, due_in: int = 10) -> None:
    """Let a customer have an invoice of each amount, issued twenty days ago, and due in so many days or before."""
    now = timezone.now()
    for amount in amounts:
        order = stories.open_order(environment, line(amount), customer_id=customer_id)
        due = {"type": "absolute", "due_at": now + timedelta(days=due_in)}
        stories.issued_invoice(order, payment_due=due, at=now - timedelta(days=20))


def test_a_customer_shows_what_it_owes_where_that_is_asked_for(api, environment, ada):
    owing(environment, ada, 3_000)
    owing(environment, ada, 2_000, due_in=-1)

    shown = api.get(f"{PATH}/{ada}", {"expand": "receivables"}).data["receivables"]

    assert shown["balances"] == [
        {
            "currency": "EUR",
            "outstanding_money": {"amount": 5_000, "currency": "EUR"},
            "overdue_money": {"amount": 2_000, "currency": "EUR"},
        }
    ]
    assert "receivables" not in api.get(f"{PATH}/{ada}").data


def test_a_list_shows_it_in_no_more_statements_for_more_customers(api, environment, ada):
    def statements() -> int:
        with CaptureQueriesContext(connection) as counted:
            shown = api.get(PATH, {"expand": "receivables"})
        assert shown.status_code == 200, shown.error
        assert all("observed_at" in each["receivables"] for each in shown.data)
        return len(counted)

    owing(environment, ada, 2_000)
    api.get(PATH)
    before = statements()
    for name in ("bob", "eve"):
        someone = create_customer(data={"email": f"{name}@buyer.example"}, actor=actor_in(environment))
        owing(environment, someone.id, 1_000, 4_000)

    assert statements() == before


def test_who_owes_nothing_has_no_balance(api, ada):
    assert api.get(f"{PATH}/{ada}", {"expand": "receivables"}).data["receivables"]["balances"] == []
    assert api.get(PATH, {"expand": "default_payment_method"}).code == "INVALID_EXPAND"
