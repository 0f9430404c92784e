"""A refund that failed waits for somebody: who tries it again, notes that it was paid otherwise, or sets it aside."""

from functools import partial

import pytest
from django.urls import reverse

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import actor_in, eur, line, settled, sweep, time_passes
from payments.tests.acts import at_once, at_processor, ended, going_wrong, kinds_of, later, nothing_moves, stage
from payments.tests.acts import confirm as confirm_legs
from refunds import services
from refunds.models import Refund, RefundLeg
from refunds.services.composing.refusals import RefundCannotBeRepeated
from refunds.services.handling import RefundNoteRequired, RefundNotFailed


@pytest.fixture
def order(environment):
    return stories.paid_order(environment, line(1_000, quantity=3), line(4_000, name="Cake"))


def failed(order, **data) -> Refund:
    with going_wrong(order, on="refund", fault="refuse", code="insufficient_available_balance"):
        made = stories.refund(order, **data)
    assert made.is_undone
    return made


def try_again(refund: Refund) -> Refund:
    with settled():
        again = services.try_again(refund.id, actor=actor_in(refund.environment))
    again.refresh_from_db()
    refund.refresh_from_db()
    return again


def refunds_at_processor(order) -> list[int]:
    return [effect.amount for effect in at_processor(order).refunds]


def test_it_is_tried_again_with_the_same_parts_as_a_new_refund(order):
    coffee = order.line_items.get(name="Coffee")
    refund = failed(order, line_items=[{"order_line_item_id": coffee.id, "quantity": 2}], reason="defective_product")

    again = try_again(refund)

    assert (again.status, again.reason, again.money) == ("succeeded", "defective_product", eur(2_000))
    assert (refund.status, refund.handling, refund.tried_again_as_id) == ("failed", "tried_again", again.id)
    assert not refund.is_undone
    coffee.refresh_from_db()
    assert (coffee.refunded_amount, coffee.refunded_quantity) == (2_000, 2)
    assert refunds_at_processor(order) == [2_000]
    assert_books(order, refunded=2_000, credit=2_000, balance=0)


def test_what_had_been_withheld_is_withheld_again(api, order):
    fee = {
        "adjustment_type": "restocking_fee",
        "applies_to": "subtotal",
        "amount_money": eur(150),
        "reason": {"code": "restocking"},
    }
    cake = order.line_items.get(name="Cake")
    refund = failed(order, line_items=[{"order_line_item_id": cake.id, "refund_adjustments": [fee]}])

    again = try_again(refund)

    (row,) = api.get(f"/v1/refunds/{again.id}").data["line_item_allocations"]
    assert (row["quantity"], row["refunded_money"]) == (1, {"amount": 3_850, "currency": "EUR"})
    assert [each["amount_money"]["amount"] for each in row["adjustments"]] == [150]
    assert_books(order, refunded=3_850, credit=3_850, balance=0)


def test_only_what_failed_is_tried_again(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)
    confirm_legs(api, order, first, completion_behavior="partial_payment")
    confirm_legs(api, order, second)
    refund = failed(order)
    assert refund.status == "partially_succeeded"

    again = try_again(refund)

    assert (again.status, again.amount, again.legs.get().payment_intent_id) == ("succeeded", 4_000, second)
    assert_books(order, refunded=10_000, credit=10_000, balance=0, refund_status="refunded")


def test_what_fails_later_of_a_refund_that_was_dealt_with_comes_up_by_itself(api, environment):
    order = stories.open_order(environment)
    late, soon = stage(api, order, 6_000), stage(api, order, 4_000)
    wanted = {"completion_behavior": "partial_payment"}
    confirm_legs(api, order, (late, "pm_card_refundFail"), **wanted)
    confirm_legs(api, order, soon)
    refund = failed(order)
    again = try_again(refund)

    time_passes(environment, later(days=3))

    refund.refresh_from_db()
    assert (refund.status, refund.is_undone, again.status) == ("failed", True, "succeeded")
    assert_books(order, refunded=4_000, credit=4_000, balance=0)
    repeated = try_again(refund)
    assert (repeated.amount, repeated.legs.get().payment_intent_id) == (6_000, late)


def test_what_was_given_back_meanwhile_is_not_given_back_again(order):
    cake = [{"order_line_item_id": order.line_items.get(name="Cake").id}]
    refund = failed(order, line_items=cake)
    stories.refund(order, line_items=cake)

    with nothing_moves(order), pytest.raises(RefundCannotBeRepeated):
        services.try_again(refund.id, actor=actor_in(order.environment))

    assert Refund.objects.get(id=refund.id).is_undone


@pytest.mark.parametrize("end", [services.note_paid_outside, services.set_aside])
def test_it_is_ended_with_a_note_and_stays_refundable(order, end):
    refund = failed(order, amount_money=eur(500))
    actor = actor_in(order.environment)
    for note in ("", "  ", "x" * 501):
        with nothing_moves(order), pytest.raises(RefundNoteRequired):
            end(refund.id, note=note, actor=actor)

    end(refund.id, note="Transferred by bank on Monday.", actor=actor)

    assert kinds_of(order)[-1] == "refund.handled"
    assert_books(order, refunded=0, refund_pending=0, balance=0)
    for again in (partial(end, note="Twice"), services.try_again):
        with nothing_moves(order), pytest.raises(RefundNotFailed):
            again(refund.id, actor=actor)


def test_d079_a_refund_without_an_answer_is_on_a_list(merchant, order):
    with collecting():
        made = services.create_refund(data={"order_id": order.id}, actor=actor_in(order.environment))
    staff = signed_in(merchant, "support")
    url = reverse("admin:refunds_refund_changelist")
    assert made.id not in page(staff.get(url, {"work": "unanswered"}))
    RefundLeg.objects.filter(refund=made).update(created_at=later(hours=-2))

    assert made.id in page(staff.get(url, {"work": "unanswered"}))
    assert "refunds have had no answer for more than an hour" in page(staff.get(reverse("admin:index")))
    with settled():
        told = staff.post(reverse("admin:refunds_refund_ask", args=[made.id]), follow=True)
    assert "The processor is being asked." in page(told)
    assert_books(order, refunded=7_000, refund_pending=0)
    sweep(at=later(minutes=1))
    assert refunds_at_processor(order) == [7_000]


class TestInTheAdmin:
    """Staff find it on the list, read what to do, and end it."""

    def test_the_list_the_advice_and_the_way_out(self, merchant, order):
        refund = failed(order, amount_money=eur(500))
        staff = signed_in(merchant, "support")
        assert "failed refunds wait to be dealt with" in page(staff.get(reverse("admin:index")))
        listed = page(staff.get(reverse("admin:refunds_refund_changelist"), {"work": "failed"}))
        assert refund.id in listed
        shown = page(staff.get(reverse("admin:refunds_refund_change", args=[refund.id])))
        assert "Put money into the processor&#x27;s balance, then try again." in shown

        with settled():
            told = staff.post(reverse("admin:refunds_refund_try_again", args=[refund.id]), follow=True)

        assert "It is being tried again as a new refund." in page(told)
        assert_books(order, refunded=500, credit=500)
        assert refund.id not in page(staff.get(reverse("admin:refunds_refund_changelist"), {"work": "failed"}))

    def test_a_note_is_in_the_orders_history(self, merchant, order):
        refund = failed(order, amount_money=eur(500))
        staff = signed_in(merchant, "support")

        staff.post(reverse("admin:refunds_refund_paid_outside", args=[refund.id]), {"note": "Cash in the shop"})

        shown = page(staff.get(reverse("admin:orders_order_change", args=[order.id])))
        assert "Failed refund noted as paid outside: Cash in the shop" in shown

    def test_without_a_note_it_says_so_and_stays(self, merchant, order):
        refund = failed(order, amount_money=eur(500))
        staff = signed_in(merchant, "support")

        with nothing_moves(order):
            told = staff.post(reverse("admin:refunds_refund_set_aside", args=[refund.id]), {"note": ""}, follow=True)

        assert "Say how or why" in page(told)
        assert Refund.objects.get(id=refund.id).is_undone


@pytest.mark.django_db(transaction=True)
def test_two_who_try_it_again_at_once_make_one_refund(environment):
    actor = actor_in(environment)
    for _ in range(10):
        with collecting():
            order = stories.paid_order(environment)
            refund = services.create_refund(
                data={"order_id": order.id, "amount_money": eur(4_000)}, actor=actor_in(environment)
            )
            services.record_refused(refund.legs.get().id, reason="declined", actor=actor)
            again = partial(services.try_again, refund.id, actor=actor)

            assert len(ended(at_once(again, again, again), "REFUND_NOT_FAILED")) == 1

        assert_books(order, refund_pending=4_000, refunded=0)
