"""The history of an order: complete, in order, in our own words, with the balance after each fact."""

import pytest

from flint.actors import system
from flint.events import services as events
from flint.events.models import Event
from orders import services
from orders.api.activities import ACTIVITY_TYPES, TELLING, describe
from orders.models import Order
from orders.tests.sales import add_charge, create, line, money, refused, taxed


def path(order):
    return f"/v1/orders/{order['order_id']}/activities"


@pytest.fixture
def edited(api):
    """An order with six activities."""
    order = add_charge(api, create(api, line(1_000)))
    base = f"/v1/orders/{order['order_id']}"
    api.post(f"{base}/line-items", {"line_items": [line(200, tax=taxed(10))]})
    api.patch(base, {"buyer_note": "Ring"})
    api.patch(base, {"requested_tip": {"amount_money": money(80)}})
    api.post(f"{base}/close", {})
    return order


TYPES = ["created", "charge_added", "line_item_added", "order_updated", "requested_tip_added", "closed"]


def test_the_newest_comes_first(api, edited):
    assert [one["activity_type"] for one in api.get(path(edited)).data] == TYPES[::-1]
    assert [one["activity_type"] for one in api.get(path(edited), {"sort_direction": "asc"}).data] == TYPES


def test_each_row_tells_the_balance_after_it(api, edited):
    told = api.get(path(edited), {"sort_direction": "asc"}).data

    assert [one["balance_delta_money"]["amount"] for one in told] == [1_000, 500, 220, 0, 80, -1_800]
    assert [one["running_balance_money"]["amount"] for one in told] == [1_000, 1_500, 1_720, 1_720, 1_800, 0]


@pytest.mark.parametrize("sort_direction", ["asc", "desc"])
def test_pages_join_without_a_gap(api, edited, sort_direction):
    seen, token = [], None
    while True:
        query = {"page_size": 2, "sort_direction": sort_direction, **({"page_token": token} if token else {})}
        page = api.get(path(edited), query)
        seen += [one["activity_type"] for one in page.data]
        token = page.json().get("next_page_token")
        if not token:
            break

    assert seen == (TYPES if sort_direction == "asc" else TYPES[::-1])


def test_types_are_picked(api, edited):
    assert [one["activity_type"] for one in api.get(path(edited), {"type": ["created", "closed"]}).data] == [
        "closed",
        "created",
    ]
    assert api.get(path(edited), {"type": "payment"}).data == []


def test_a_staff_note_is_told_without_its_text(api):
    order = create(api)
    services.add_note(order_id=order["order_id"], text="Suspicious", actor=system(api.environment.id))

    (note, _) = api.get(path(order)).data

    assert (note["activity_type"], note["description"]) == ("order_updated", "Staff note")
    assert "Suspicious" not in str(note)


def record(api, order, type, subject=None, **data):
    row = Order.objects.get(id=order["order_id"])
    events.record(row, type, subject=subject or row, actor=system(api.environment.id), **data)
    row.save(update_fields=["event_count"])


def test_what_has_no_type_in_the_contract_is_told_all_the_same(api):
    order = create(api, line(1_000))
    record(api, order, "payment.authorized", amount=1_000)
    record(api, order, "order.taken_to_the_moon", amount=1_000, processor_message="lunar_decline_47")

    unknown, authorized, _ = api.get(path(order)).data

    assert "activity_type" not in authorized and "activity_type" not in unknown
    assert authorized["description"] == "€10.00 authorized"
    assert unknown["description"] == "Order taken to the moon"
    assert authorized["balance_delta_money"] == money(0)


@pytest.mark.parametrize(("type", "told"), [("payment.failed", "payment_failed"), ("refund.failed", "refund_failed")])
def test_a_failure_carries_no_delta_even_where_it_moved_the_balance(type, told, api):
    event = Event(type=type, currency="EUR", balance_amount=700, balance_delta_amount=-300, data={"amount": 300})

    from orders.api.activities import OrderActivityOutput

    shown = OrderActivityOutput().to_representation(event)

    assert shown["activity_type"] == told
    assert shown["balance_delta_money"] == money(0)
    assert shown["running_balance_money"] == money(700)


@pytest.mark.parametrize(
    ("subject_type", "member"),
    [
        ("paymentintent", "payment_intent_id"),
        ("refund", "refund_id"),
        ("checkoutsession", "checkout_session_id"),
        ("lineitem", "order_line_item_id"),
        ("charge", "order_charge_id"),
        ("discount", "order_discount_id"),
        ("paymentattempt", None),
        ("order", None),
    ],
)
def test_a_row_names_the_one_thing_that_it_is_about(subject_type, member):
    from orders.api.activities import OrderActivityOutput

    event = Event(
        type="order.updated", subject_type=subject_type, subject_id="x_1", currency="EUR", balance_amount=0,
        balance_delta_amount=0,
    )  # fmt: skip

    shown = OrderActivityOutput().to_representation(event)

    assert {name: value for name, value in shown.items() if value == "x_1"} == ({member: "x_1"} if member else {})


@pytest.mark.parametrize("type", sorted(TELLING))
def test_every_event_is_told_even_if_it_carries_nothing(type):
    event = Event(type=type, currency="JPY", data={})

    assert describe(event)
    assert TELLING[type][0] in [None, *ACTIVITY_TYPES]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"type": "payed"}, "INVALID_ACTIVITY_TYPE"),
        ({"sort_direction": "up"}, "INVALID_SORT_DIRECTION"),
        ({"sort_by": "created_at"}, "UNSUPPORTED_QUERY_PARAM"),
        ({"page_size": 0}, "INVALID_PAGE_SIZE"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(api, query, code):
    refused(api.get(path(create(api)), query), code)


def test_somebody_elses_history_is_not_found(api, other_api):
    refused(other_api.get(path(create(api))), "ORDER_NOT_FOUND", 404)
