"""The demo data: made once, with credentials that work, and books that hold."""

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.utils import timezone

from flint.actors import system
from flint.events.models import Event
from flint.merchants import selectors, services
from flint.merchants.models import ApiKey, Merchant, StaffMember
from flint.seed import INVOICED, STORIES, seed
from flint.testing import stories
from flint.testing.books import assert_books
from orders.models import Order

pytestmark = pytest.mark.django_db


def of(facts: dict) -> list[Order]:
    return list(Order.objects.of(system(facts["environment_id"])).order_by("created_at", "id"))


def named(facts: dict, reference: str) -> Order:
    return Order.objects.of(system(facts["environment_id"])).get(external_reference_id=reference)


def lets_in(facts: dict, name: str) -> str:
    return selectors.authenticate(facts[name], timezone.now()).environment.merchant_id


def test_everything_told_lets_in():
    facts = seed()
    assert lets_in(facts, "api_key") == facts["merchant_id"]
    assert lets_in(facts, "other_api_key") != facts["merchant_id"]
    assert set(facts["staff"]) == {"owner", "support", "finance"}
    for role, who in facts["staff"].items():
        user = authenticate(username=who["username"], password=who["password"])
        assert user.is_staff
        assert not user.is_superuser
        member = StaffMember.objects.get(user=user)
        assert (member.role, member.merchant_id) == (role, facts["merchant_id"])


def test_its_invoice_is_there_to_be_paid(client):
    facts = seed()
    there = client.get("/" + facts["invoice_url"].split("/", 3)[3], follow=True)
    assert "€770.40" in there.content.decode()
    assert_books(named(facts, INVOICED), paid=0, outstanding=256_800)


def test_a_second_time_changes_nothing():
    facts = seed()
    rows = [Merchant.objects.count(), ApiKey.objects.count(), User.objects.count(), Event.objects.count()]
    assert seed(facts) == facts
    assert [Merchant.objects.count(), ApiKey.objects.count(), User.objects.count(), Event.objects.count()] == rows


def test_what_was_forgotten_is_replaced_and_no_longer_lets_in():
    before = seed()
    after = seed()
    assert (after["merchant_id"], after["environment_id"]) == (before["merchant_id"], before["environment_id"])
    assert lets_in(after, "api_key") == after["merchant_id"]
    with pytest.raises(selectors.ApiKeyRevoked):
        lets_in(before, "api_key")
    assert authenticate(**after["staff"]["owner"])
    assert not authenticate(**before["staff"]["owner"])
    assert len(of(after)) == len(STORIES)


def test_what_another_database_told_is_replaced():
    facts = seed({"api_key": f"flint_test_{'0' * 64}", "staff": {"owner": {"username": "kestrel-owner"}}})
    assert lets_in(facts, "api_key") == facts["merchant_id"]
    assert authenticate(**facts["staff"]["owner"])


def test_the_other_merchants_key_is_not_taken_for_ours():
    facts = seed()
    again = seed(facts | {"api_key": facts["other_api_key"]})
    assert lets_in(again, "api_key") == facts["merchant_id"]


def test_a_user_of_the_same_name_is_left_alone():
    somebody = User.objects.create_user("kestrel-owner", password="their-own-password")
    facts = seed()
    assert facts["staff"]["owner"]["username"] != "kestrel-owner"
    somebody.refresh_from_db()
    assert somebody.check_password("their-own-password")
    assert not somebody.is_staff


def test_other_keys_of_the_merchant_stay():
    facts = seed()
    sandbox = selectors.default_sandbox(facts["merchant_id"])
    _, secret = services.create_api_key(environment=sandbox, name="Mine", scopes=["commerce.orders.read"])
    seed()
    assert selectors.authenticate(secret, timezone.now())


def test_the_orders_are_in_interesting_states_and_their_books_hold():
    facts = seed()
    for order in of(facts):
        assert_books(order)
    assert_books(named(facts, "DEMO-UNPAID"), payment_status="unpaid", paid=0, outstanding=5_980)
    assert_books(named(facts, "DEMO-DECLINED-THEN-PAID"), payment_status="paid", total=6_776, paid=6_776)
    assert_books(named(facts, "DEMO-PARTLY-PAID"), payment_status="partially_paid", paid=20_000, outstanding=34_080)
    assert_books(
        named(facts, "DEMO-PARTLY-REFUNDED"),
        refund_status="partially_refunded",
        total=22_100,
        refunded=2_200,
        balance=0,
    )
    assert_books(named(facts, "DEMO-REFUNDED"), refund_status="refunded", paid=6_043, refunded=6_043, balance=0)
    assert_books(named(facts, "DEMO-CLOSED"), status="closed", total=1_200, credit=1_200, outstanding=0)
    disputed = assert_books(named(facts, "DEMO-DISPUTED"), total=45_619, paid=45_619, charged_back=45_619)
    assert disputed.balance_amount == 45_619
    assert_books(named(facts, "DEMO-OVER-COLLECTED"), total=24_900, paid=49_800, charged_back=0, balance=-24_900)
    for reference, status in {
        "DEMO-3DS-WAITING": "requires_action",
        "DEMO-BANK-DEBIT": "processing",
        "DEMO-HELD": "requires_capture",
    }.items():
        order = assert_books(named(facts, reference), paid=0)
        assert [leg.status for leg in order.payment_intents.all()] == [status]
    assert {order.currency for order in of(facts)} == {"EUR", "USD", "JPY"}


def test_a_refund_that_fails_after_the_start_is_booked_back():
    facts = seed()
    order = assert_books(named(facts, "DEMO-REFUND-FAILS"), refund_status="refunded", refunded=15_900)
    stories.time_passes(order.environment, timezone.now() + timedelta(seconds=10))
    assert_books(order, refund_status="none", refunded=0, refund_pending=0, paid=15_900, balance=0)


def test_a_later_start_asks_the_database_little(django_assert_max_num_queries):
    facts = seed()
    with django_assert_max_num_queries(20):
        seed(facts)
