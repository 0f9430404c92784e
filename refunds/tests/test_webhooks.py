"""What merchants are told of money that goes back."""

import json

import pytest

from flint.events.models import WebhookEvent
from flint.events.tests.telling import endpoint_at, publish
from flint.testing import stories
from flint.testing.stories import eur
from refunds.tests.disputing import bank, dispute

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def heard(environment):
    """Somebody listens."""
    endpoint_at(environment, "https://shop.example.com/hooks")


def messages(environment, *about: str) -> list[dict]:
    publish()
    rows = WebhookEvent.objects.filter(environment=environment).order_by("position")
    return [json.loads(row.body) for row in rows if row.type.startswith(about)]


def test_a_refund_in_two_parts_is_told_with_what_came_of_it(environment):
    order = stories.paid_order(environment)
    refunds = [stories.refund(order, amount_money=eur(4_000)), stories.refund(order, amount_money=eur(6_000))]

    told = messages(environment, "refund.", "order.refunded")
    assert [each["event_type"] for each in told if each["event_type"].startswith("refund.")] == [
        "refund.created",
        "refund.updated",
    ] * 2
    assert [each["data"]["refund_id"] for each in told if each["event_type"] == "refund.updated"] == [
        refund.id for refund in refunds
    ]
    updated = next(each["data"] for each in told if each["event_type"] == "refund.updated")
    assert (updated["status"], updated["amount_money"]["amount"]) == ("succeeded", 4_000)
    assert "idempotency_key" not in updated
    of_order = [each["data"] for each in told if each["event_type"] == "order.refunded"]
    assert [each["refund_status"] for each in of_order] == ["partially_refunded", "refunded"]
    assert [each["refunded_money"]["amount"] for each in of_order] == [4_000, 10_000]


def test_a_dispute_from_its_opening_to_its_end(environment):
    found = dispute(stories.paid_order(environment))
    bank(found, "lose")

    told = [each["event_type"] for each in messages(environment, "dispute.")]
    assert told[0] == "dispute.created"
    assert {"dispute.needs_response", "dispute.lost", "dispute.closed"} <= set(told)
    assert len(told) == len(
        {
            (each["event_type"], each["data"]["updated_at"], each["data"]["status"], i)
            for i, each in enumerate(messages(environment, "dispute."))
        }
    )
    last = messages(environment, "dispute.lost")[0]["data"]
    assert (last["dispute_id"], last["status"]) == (found.id, "lost")
