"""Money beyond what an order is owed: held for somebody to decide, or refunded by the merchant's policy, once."""

from functools import partial

import pytest
from django.urls import reverse

from flint.celery import collecting
from flint.events.models import Event
from flint.merchants import selectors
from flint.merchants.models import SurplusPolicy
from flint.merchants.services import create_merchant
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import actor_in, eur, settled, time_passes
from orders.models import Order
from orders.models.orders import OrderNotFound
from orders.services import close_order
from payments.tests.acts import at_once, at_processor, ended, going_wrong, later, nothing_moves
from refunds import services, tasks
from refunds.models import Refund
from refunds.services import surplus as surpluses
from refunds.services.surplus import NoSurplus
from refunds.tests.disputing import dispute


@pytest.fixture
def over(environment) -> Order:
    """An order of 100.00 whose failed correction came back after it was paid again: 200.00 in, nothing more owed."""
    return over_collected(environment)


def over_collected(environment) -> Order:
    order = stories.open_order(environment)
    stories.pay(order, token="pm_card_refundFail")
    stories.refund(order, balance_effect="reopen")
    stories.pay(order)
    time_passes(environment, later(days=3))
    order.refresh_from_db()
    assert order.balance_amount == -10_000
    return order


def refund_automatically(environment) -> None:
    environment.merchant.surplus_policy = SurplusPolicy.REFUND
    environment.merchant.save()


def surplus(order: Order) -> Refund:
    with settled():
        return services.refund_surplus(order.id, actor=actor_in(order.environment))


def test_by_default_it_is_held(over):
    with nothing_moves(over):
        assert services.sweep_surplus() == 0


def test_by_policy_it_goes_back_and_raises_no_credit(environment, over):
    refund_automatically(environment)

    with settled():
        tasks.sweep_surplus.run()

    refund = over.refunds.order_by("-created_at", "-id")[0]
    assert (refund.origin, refund.status, refund.money) == ("surplus", "succeeded", eur(10_000))
    assert_books(over, total=10_000, paid=20_000, refunded=10_000, credit=0, balance=0, payment_status="paid")
    with nothing_moves(over):
        assert services.sweep_surplus() == 0
        with pytest.raises(NoSurplus):
            surplus(over)


def test_what_is_disputed_waits_and_keeps_nothing_else_waiting(environment, over, monkeypatch):
    monkeypatch.setattr(surpluses, "BATCH", 1)
    for position in (0, 1):
        dispute(over, position=position, withdraws=False)
    other = over_collected(environment)
    refund_automatically(environment)
    with settled():
        assert services.sweep_surplus() == 1
    assert_books(over, paid=20_000, refunded=0, refund_pending=0)
    assert_books(other, paid=20_000, refunded=10_000, balance=0)


def test_while_it_is_on_its_way_back_it_is_not_sent_again(environment, over):
    refund_automatically(environment)
    with collecting():
        assert services.sweep_surplus() == 1
        with nothing_moves(over):
            assert services.sweep_surplus() == 0
            with pytest.raises(NoSurplus):
                services.refund_surplus(over.id, actor=actor_in(environment))


def test_one_that_could_not_go_back_is_left_to_staff(environment, over):
    refund_automatically(environment)
    with going_wrong(over, on="refund", fault="refuse", code="insufficient_available_balance"), settled():
        services.sweep_surplus()
    refund = over.refunds.get(origin="surplus")
    assert refund.is_undone

    with nothing_moves(over):
        assert services.sweep_surplus() == 0

    with settled():
        again = services.try_again(refund.id, actor=actor_in(environment))
    again.refresh_from_db()
    assert (again.origin, again.status) == ("surplus", "succeeded")
    assert_books(over, refunded=10_000, credit=0, balance=0)


def test_staff_find_it_and_send_it_back(merchant, over):
    staff = signed_in(merchant, "support")
    assert "open orders were paid too much" in page(staff.get(reverse("admin:index")))
    listed = reverse("admin:orders_order_changelist")
    assert over.order_number in page(staff.get(listed, {"work": "over_collected"}))
    assert over.order_number not in page(staff.get(listed, {"work": "late"}))
    url = reverse("admin:orders_order_surplus", args=[over.id])
    assert url in page(staff.get(reverse("admin:orders_order_change", args=[over.id])))
    assert "€100.00" in page(staff.get(url))

    with settled():
        told = staff.post(url, follow=True)

    assert "€100.00 goes back to the customer" in page(told)
    assert_books(over, refunded=10_000, credit=0, balance=0)
    assert over.order_number not in page(staff.get(listed, {"work": "over_collected"}))
    with nothing_moves(over):
        assert "Nothing came in beyond what is owed" in page(staff.post(url, follow=True))


def test_money_on_a_closed_order_is_on_a_list_of_its_own(environment, merchant):
    order = stories.open_order(environment)
    stories.pay(order, token="pm_card_refundFail")
    stories.refund(order, balance_effect="reopen")
    close_order(order_id=order.id, actor=actor_in(environment))
    time_passes(environment, later(days=3))
    staff = signed_in(merchant, "support")

    assert "orders were paid after they were closed" in page(staff.get(reverse("admin:index")))
    assert order.order_number in page(staff.get(reverse("admin:orders_order_changelist"), {"work": "late"}))

    surplus(order)
    assert_books(order, paid=10_000, refunded=10_000, credit=10_000, balance=0, status="closed")


def test_another_merchants_surplus_is_none_of_ours(over):
    rival = selectors.default_sandbox(create_merchant(name="Rival", email="owner@rival.example").id)

    with nothing_moves(over), pytest.raises(OrderNotFound):
        services.refund_surplus(over.id, actor=actor_in(rival))


class TestPolicy:
    """An owner chooses what becomes of it, for all environments; nobody else does."""

    def choose(self, merchant, role: str, policy: str):
        url = reverse("admin:merchants_merchant_surplus", args=[merchant.id])
        return signed_in(merchant, role).post(url, {"policy": policy}, follow=True)

    def test_an_owner_chooses(self, merchant, environment, over):
        shown = page(signed_in(merchant, "owner").get(reverse("admin:merchants_merchant_change", args=[merchant.id])))
        assert "Refund it automatically" in shown

        assert "is as chosen" in page(self.choose(merchant, "owner", "refund"))

        merchant.refresh_from_db()
        assert merchant.surplus_policy == "refund"
        told = Event.objects.filter(type="merchant.surplus_policy_changed", actor_kind="staff")
        assert told.count() == merchant.environments.count()
        with settled():
            assert services.sweep_surplus() == 1
        assert_books(over, refunded=10_000, credit=0, balance=0)

    @pytest.mark.parametrize("role", ["developer", "finance", "support"])
    def test_others_do_not(self, merchant, role):
        assert self.choose(merchant, role, "refund").status_code in (403, 404)
        merchant.refresh_from_db()
        assert merchant.surplus_policy == "hold"

    def test_what_is_no_policy_is_refused(self, merchant):
        assert "There is no such policy." in page(self.choose(merchant, "owner", "keep it all"))
        merchant.refresh_from_db()
        assert merchant.surplus_policy == "hold"


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_refund_it_once(environment):
    refund_automatically(environment)
    actor = actor_in(environment)
    for _ in range(5):
        order = over_collected(environment)
        by_hand = partial(services.refund_surplus, order.id, actor=actor)

        with collecting():
            results = at_once(services.sweep_surplus, services.sweep_surplus, by_hand)

        ended(results, "NO_SURPLUS_TO_REFUND")
        assert order.refunds.filter(origin="surplus").count() == 1
        with settled():
            services.sweep(at=later(days=3, minutes=1))
        assert at_processor(order).net == 10_000
        assert_books(order, paid=20_000, refunded=10_000, credit=0, balance=0)
