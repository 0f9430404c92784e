"""Explaining a refund that was made at the processor: a reason, a name, and perhaps a debt that stands again."""

import pytest
from django.urls import reverse

from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import actor_in, eur, line
from orders.services import close_order
from orders.services.editing import OrderClosed
from payments.processors.sandbox import dashboard
from payments.tests.acts import at_once, kinds_of, later, nothing_moves, pay, reference_of
from payments.tests.reconciling import reconcile
from refunds.models import Refund
from refunds.services import explain_refund
from refunds.services.explaining import RefundAlreadyExplained, RefundNotFromProcessor, RefundReasonRequired


@pytest.fixture
def order(environment):
    return stories.paid_order(
        environment, line(6_000, quantity=2, name="Bag"), line(4_000), requested_tip={"amount_money": eur(800)}
    )


def found(order, amount: int = 4_200) -> Refund:
    """A refund of the order that the processor told of, or was found there."""
    dashboard.refund(environment_id=order.environment_id, reference=reference_of(order), money=eur(amount))
    reconcile(order.environment)
    return order.refunds.order_by("-created_at", "-id")[0]


def explain(refund: Refund, reason: str = "duplicate", **more) -> Refund:
    return explain_refund(refund.id, reason=reason, actor=actor_in(refund.environment), **more)


def test_it_keeps_its_effect_and_leaves_the_work_list(order):
    refund = found(order)
    before = list(order.entries.order_by("sequence").values_list("kind", flat=True))

    explain(refund, reason_message="As agreed on the phone.")

    refund.refresh_from_db()
    assert (refund.reason, refund.reason_message, refund.is_unexplained) == (
        "duplicate",
        "As agreed on the phone.",
        False,
    )
    assert_books(order, refunded=4_200, credit=4_200, balance=0)
    assert list(order.entries.order_by("sequence").values_list("kind", flat=True)) == before
    assert kinds_of(order)[-1] == "refund.explained"


def test_d091_a_correction_of_the_payment_is_owed_again(api, order):
    refund = found(order)
    tip = refund.tip_amount
    assert tip > 0

    explain(refund, balance_effect="reopen")

    refund.refresh_from_db()
    assert (refund.balance_effect, refund.tip_amount) == ("reopen", 0)
    assert_books(order, refunded=4_200, credit=0, balance=4_200, payment_status="partially_paid", tip_refunded_amount=0)
    assert {(each.refunded_amount, each.refunded_quantity) for each in order.line_items.all()} == {(0, 0)}
    pay(api, order)
    assert_books(order, refunded=4_200, credit=0, balance=0)
    stories.refund(order)
    assert_books(order, paid=21_000, refunded=21_000, credit=16_800, balance=0)


def test_the_money_of_a_correction_that_bounces_later_is_back(api, environment):
    order = stories.open_order(environment, total=10_000)
    pay(api, order, "pm_card_refundFail")
    explain(found(order, 3_000), balance_effect="reopen")
    assert_books(order, refunded=3_000, credit=0, balance=3_000)

    stories.time_passes(environment, later(days=3))
    reconcile(environment)

    assert_books(order, refunded=0, credit=0, balance=0)


def test_one_that_is_still_on_its_way_can_be_explained(api, environment):
    order = stories.open_order(environment, total=10_000)
    pay(api, order, "pm_card_pendingRefund")
    explain(found(order, 3_000), balance_effect="reopen")
    assert_books(order, refund_pending=3_000, refunded=0, credit=0, processor=False)

    stories.time_passes(environment, later(hours=1))

    assert_books(order, refund_pending=0, refunded=3_000, credit=0, balance=3_000)
    assert order.line_items.get().refunded_amount == 0


def test_the_api_shows_no_parts_of_a_correction(api, order):
    refund = found(order)
    assert api.get(f"/v1/refunds/{refund.id}").data["line_item_allocations"]
    explain(refund, balance_effect="reopen")
    shown = api.get(f"/v1/refunds/{refund.id}").data
    assert (shown["line_item_allocations"], shown["balance_effect"], shown["reason"]) == ([], "reopen", "duplicate")


def test_a_refund_of_ours_needs_no_explanation(order):
    refund = stories.refund(order, amount_money=eur(100))
    with nothing_moves(order), pytest.raises(RefundNotFromProcessor):
        explain(refund)


def test_it_is_explained_once(order):
    refund = found(order)
    explain(refund)
    with nothing_moves(order), pytest.raises(RefundAlreadyExplained):
        explain(refund, balance_effect="reopen")


@pytest.mark.parametrize("reason", ["", "bribery"])
def test_it_takes_a_reason_of_the_contracts(order, reason):
    refund = found(order)
    with nothing_moves(order), pytest.raises(RefundReasonRequired):
        explain(refund, reason=reason)


def test_a_closed_order_cannot_owe_again(environment, order):
    close_order(order_id=order.id, actor=actor_in(environment))
    refund = found(order)
    with nothing_moves(order), pytest.raises(OrderClosed):
        explain(refund, balance_effect="reopen")
    explain(refund)
    assert_books(order, refunded=4_200, credit=4_200, balance=0)


@pytest.mark.django_db(transaction=True)
def test_two_people_explain_it_once(order):
    refund = found(order)
    results = at_once(
        lambda: explain(refund, balance_effect="reopen"), lambda: explain(refund, balance_effect="reopen")
    )
    assert sorted(type(each).__name__ for each in results) == ["Refund", "RefundAlreadyExplained"]
    assert_books(order, refunded=4_200, credit=0, balance=4_200)


class TestAdmin:
    def test_staff_find_it_and_explain_it(self, merchant, order):
        refund = found(order)
        browser = signed_in(merchant, Role.SUPPORT, first_name="Sue", last_name="Park")
        assert "wait to be explained" in page(browser.get(reverse("admin:index")))
        assert refund.id in page(browser.get(reverse("admin:refunds_refund_changelist"), {"work": "explain"}))
        here = reverse("admin:refunds_refund_change", args=[refund.id])
        url = reverse("admin:refunds_refund_explain", args=[refund.id])
        assert url in page(browser.get(here))
        assert "Made at the processor, to be explained." in page(
            browser.get(reverse("admin:orders_order_change", args=[order.id]))
        )

        told = browser.post(url, {"reason": "duplicate", "balance_effect": "reopen"}, follow=True)

        assert "The refund is explained." in page(told) and url not in page(told)
        assert_books(order, balance=4_200)
        event = order.events.get(type="refund.explained")
        assert (event.actor_kind, event.actor_label) == ("staff", "Sue Park")
        history = page(browser.get(reverse("admin:orders_order_change", args=[order.id])))
        assert "the customer owes it again" in history and "Refund found that was made at the processor" in history

    @pytest.mark.parametrize("data", [{}, {"reason": "duplicate"}, {"reason": "x", "balance_effect": "credit"}])
    def test_what_is_not_filled_in_is_told_and_nothing_moves(self, merchant, order, data):
        refund = found(order)
        browser = signed_in(merchant, Role.FINANCE)
        with nothing_moves(order):
            told = browser.post(reverse("admin:refunds_refund_explain", args=[refund.id]), data, follow=True)
        assert "Choose a reason" in page(told)

    def test_developers_only_look(self, merchant, order):
        refund = found(order)
        browser = signed_in(merchant, Role.DEVELOPER)
        url = reverse("admin:refunds_refund_explain", args=[refund.id])
        assert url not in page(browser.get(reverse("admin:refunds_refund_change", args=[refund.id])))
        with nothing_moves(order):
            assert browser.post(url, {"reason": "duplicate", "balance_effect": "credit"}).status_code == 403
