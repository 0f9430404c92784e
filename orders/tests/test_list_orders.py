"""Reading orders: one, many, the right ones, in order, page by page, and never with more statements for more rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.testing.fixtures import client_of
from orders.models import Order
from orders.tests.sales import add_charge, create, fee, line, money, nothing_moves, refused, taxed

PATH = "/v1/orders"


def ids(response):
    assert response.status_code == 200, response.error
    return [order["order_id"] for order in response.data]


def listed(api, **query):
    return ids(api.get(PATH, query))


@pytest.fixture
def three(api):
    return [create(api, line(amount))["order_id"] for amount in (300, 100, 200)]


def test_the_newest_comes_first(api, three):
    assert listed(api) == three[::-1]


def test_a_list_shows_what_a_read_shows(api):
    order = create(api, line(1_000, tax=taxed(10)), metadata={"a": "1"}, requested_tip={"percent": 10})

    (shown,) = api.get(PATH).data

    assert shown == {name: value for name, value in order.items() if name in shown}
    assert {name for name in order if name not in shown} <= {"payment_collection"}


@pytest.mark.parametrize(
    ("sort_by", "sort_direction", "expected"),
    [
        ("created_at", "asc", [0, 1, 2]),
        ("updated_at", "desc", [1, 2, 0]),
        ("total", "asc", [1, 2, 0]),
        ("total", "desc", [0, 2, 1]),
        ("outstanding_money", "desc", [0, 2, 1]),
    ],
)
def test_sorting(api, three, sort_by, sort_direction, expected):
    api.patch(f"{PATH}/{three[1]}", {"buyer_note": "changed last"})

    assert listed(api, sort_by=sort_by, sort_direction=sort_direction) == [three[i] for i in expected]


def test_outstanding_is_what_may_be_collected(api, three):
    api.post(f"{PATH}/{three[0]}/close", {})

    assert listed(api, sort_by="outstanding_money", sort_direction="desc") == [three[2], three[1], three[0]]


@pytest.mark.parametrize("sort_by", ["created_at", "outstanding_money", "total"])
def test_pages_join_without_a_gap(api, sort_by):
    made = {create(api, line(100 * (number % 3)))["order_id"] for number in range(7)}

    seen, token = [], None
    while True:
        page = api.get(PATH, {"page_size": 2, "sort_by": sort_by, **({"page_token": token} if token else {})})
        seen += ids(page)
        token = page.json().get("next_page_token")
        if not token:
            break

    assert len(seen) == 7
    assert set(seen) == made


def test_a_token_belongs_to_its_query(api, other_api, three):
    token = api.get(PATH, {"page_size": 1}).json()["next_page_token"]

    refused(api.get(PATH, {"page_size": 1, "page_token": token, "status": "open"}), "CURSOR_MISMATCH")
    refused(other_api.get(PATH, {"page_size": 1, "page_token": token}), "INVALID_PAGE_TOKEN")


def test_statuses(api, three):
    api.post(f"{PATH}/{three[0]}/close", {})

    assert listed(api, status="closed") == [three[0]]
    assert listed(api, status="open") == [three[2], three[1]]
    assert listed(api, payment_status="unpaid") == three[::-1]
    assert listed(api, payment_status=["paid", "partially_paid"]) == []
    assert listed(api, payment_status="paid,unpaid") == three[::-1]
    assert listed(api, refund_status=["none", "refunded"]) == three[::-1]
    assert listed(api, refund_status="refunded") == []


def test_amounts_and_currency(api, three):
    dollars = create(api, {"name": "Cup", "unit_price_money": money(200, "USD")})["order_id"]

    assert listed(api, min_amount=200) == [dollars, three[2], three[0]]
    assert listed(api, max_amount=199) == [three[1]]
    assert listed(api, min_amount=200, max_amount=200, currency="USD") == [dollars]
    assert listed(api, origin="api", currency="EUR") == three[::-1]
    assert listed(api, origin="checkout") == []


def test_times(api, three):
    moment = Order.objects.get(id=three[1]).created_at.isoformat()

    assert listed(api, created_after=moment) == [three[2], three[1]]
    assert listed(api, created_before=moment) == [three[0]]
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    assert listed(api, updated_after=later) == []
    assert listed(api, updated_before=later) == three[::-1]


def test_references(api, three):
    customer = api.post("/v1/customers", {"email": "ada@example.org"}).data["customer_id"]
    order = create(api, customer_id=customer, external_reference_id="cart-7")

    assert listed(api, customer_id=customer) == [order["order_id"]]
    assert listed(api, external_reference_id="cart-7") == [order["order_id"]]
    assert listed(api, external_reference_id="cart") == []
    assert listed(api, order_number=order["order_number"]) == [order["order_id"]]
    assert listed(api, order_number=order["order_number"].lower()) == [order["order_id"]]


def test_searching(api, other_api, three):
    customer = api.post("/v1/customers", {"email": "Ada@Example.org", "name": "Ada Lovelace"}).data["customer_id"]
    foreign = other_api.post("/v1/customers", {"email": "ada@example.org", "name": "Ada Lovelace"}).data["customer_id"]
    create(other_api, customer_id=foreign, external_reference_id="Cart-7")
    order = create(api, customer_id=customer, external_reference_id="Cart-7")
    Order.objects.filter(id=order["order_id"]).update(contact_email="Lovelace@Home.example")

    for text in (
        order["order_id"],
        order["order_id"].lower(),
        order["order_number"],
        order["order_number"].lower(),
        "Cart-7",
        "lovelace@home.example",
        "ada@example.ORG",
        "LOVELACE",
        " lovelace ",
    ):
        assert listed(api, query=text) == [order["order_id"]], text
    assert listed(api, query="nobody") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"page_size": 0}, "INVALID_PAGE_SIZE"),
        ({"page_size": 101}, "INVALID_PAGE_SIZE"),
        ({"page_token": "x"}, "INVALID_PAGE_TOKEN"),
        ({"sort_by": "name"}, "INVALID_SORT_BY"),
        ({"sort_direction": "up"}, "INVALID_SORT_DIRECTION"),
        ({"status": "paid"}, "INVALID_ORDER_STATUS"),
        ({"payment_status": "open"}, "INVALID_PAYMENT_STATUS"),
        ({"refund_status": ["none", "some"]}, "INVALID_REFUND_STATUS"),
        ({"origin": "shop"}, "INVALID_ORIGIN"),
        ({"min_amount": 0}, "INVALID_MIN_AMOUNT"),
        ({"max_amount": "1.5"}, "INVALID_MAX_AMOUNT"),
        ({"min_amount": 5, "max_amount": 4}, "INVALID_AMOUNT_RANGE"),
        ({"currency": "eur"}, "INVALID_CURRENCY"),
        ({"created_after": "yesterday"}, "INVALID_CREATED_AFTER"),
        ({"created_after": "2026-02-01T00:00:00Z", "created_before": "2026-01-01T00:00:00Z"}, "INVALID_CREATED_RANGE"),
        ({"external_reference_id": "x" * 256}, "INVALID_EXTERNAL_REFERENCE_ID"),
        ({"expand": "customer"}, "UNSUPPORTED_QUERY_PARAM"),
        ({"fulfillment_status": "fulfilled"}, "UNSUPPORTED_QUERY_PARAM"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(api, query, code):
    refused(api.get(PATH, query), code)


# One


def test_reading_one(api):
    order = create(api)

    assert api.get(f"{PATH}/{order['order_id']}").data == order


def test_expanding_the_customer(api):
    customer = api.post("/v1/customers", {"email": "ada@example.org", "name": "Ada", "phone": "+49 30 1234"}).data
    with_one, without = create(api, customer_id=customer["customer_id"]), create(api)

    shown = api.get(f"{PATH}/{with_one['order_id']}", {"expand": "customer"}).data["customer"]
    assert shown == {
        name: customer[name] for name in ("customer_id", "email", "name", "phone", "created_at", "updated_at")
    }
    assert api.get(f"{PATH}/{without['order_id']}", {"expand": "customer"}).data["customer"] is None
    assert "customer" not in api.get(f"{PATH}/{with_one['order_id']}").data


def test_an_unknown_expansion_is_refused(api):
    order = create(api)

    refused(api.get(f"{PATH}/{order['order_id']}", {"expand": "subscription"}), "INVALID_EXPAND")


def test_nobody_reads_somebody_elses(api, other_api):
    order = create(api)

    refused(other_api.get(f"{PATH}/{order['order_id']}"), "ORDER_NOT_FOUND", 404)
    assert listed(other_api) == []
    refused(api.get(f"{PATH}/ord_unknown"), "ORDER_NOT_FOUND", 404)


def test_scopes(api, environment):
    order = create(api)
    stranger = client_of(environment, scopes=["customers.read"])
    reader = client_of(environment, scopes=["commerce.orders.read"])
    writer = client_of(environment, scopes=["commerce.orders.write"])

    refused(stranger.get(PATH), "INSUFFICIENT_SCOPE", 403)
    refused(stranger.get(f"{PATH}/{order['order_id']}"), "INSUFFICIENT_SCOPE", 403)
    assert listed(reader) == listed(writer) == [order["order_id"]]
    with nothing_moves():
        refused(reader.post(PATH, {"line_items": [line()]}), "INSUFFICIENT_SCOPE", 403)


# What it costs


def statements(call):
    with CaptureQueriesContext(connection) as captured:
        assert call().status_code == 200
    return len(captured)


def test_reading_one_takes_eight_statements_at_most(api):
    small = create(api)["order_id"]
    large = create(api, *[line(tax=taxed(1, 2)) for _ in range(40)], requested_tip={"percent": 10})
    for _ in range(3):
        large = add_charge(api, large, **fee(tax=taxed(1)))

    costs = {statements(lambda order=order: api.get(f"{PATH}/{order}")) for order in (small, large["order_id"])}

    assert len(costs) == 1
    assert costs.pop() <= 8


def test_listing_takes_twelve_statements_at_most_however_many_there_are(api):
    create(api, line(tax=taxed(5)))
    few = statements(lambda: api.get(PATH, {"page_size": 100}))
    for _ in range(99):
        create(api, *[line(tax=taxed(5)) for _ in range(4)])

    many = statements(lambda: api.get(PATH, {"page_size": 100}))

    assert many == few
    assert many <= 12
