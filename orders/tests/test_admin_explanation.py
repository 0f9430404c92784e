"""What the order page says of why an order owes what it owes, and how it shows the order as of a moment."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from flint.merchants import services as merchants
from flint.testing import stories
from flint.testing.staff import signed_in
from flint.testing.stories import line
from orders import services
from orders.admin.moments import MomentNotUnderstood, moment_of
from orders.models import RowVersion


@pytest.fixture
def support(merchant):
    return signed_in(merchant, "support", first_name="Sam", last_name="Lee")


def show(browser, order, status: int = 200, **query) -> str:
    response = browser.get(reverse("admin:orders_order_change", args=[order.id]), query)
    assert response.status_code == status
    return response.content.decode()


def why(text: str) -> str:
    """Return what the section says, in words."""
    section = re.search(r'<section class="fl-card" id="why">(.*?)</section>', text, re.S).group(1)
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_it_says_why_term_by_term(support, environment):
    order = stories.paid_order(environment, line(1_000, quantity=2), line(333, name="Tea"))

    told = why(show(support, order))

    assert "Total €23.33" in told
    assert "Line: Coffee 2 × €10.00 Order created" in told
    assert re.search(r"Payment captured Payment received \d+ \w+ \d{4}", told)
    assert "Balance €0.00" in told


def test_it_tells_what_rounding_did(support, environment):
    off = [{"manual": {"name": "Off", "amount_money": stories.eur(100)}}]
    order = stories.open_order(environment, line(1_000), line(500, name="Tea"), discounts=off)

    told = why(show(support, order))

    # 66.67 and 33.33: the first is a third of a cent more than its share.
    assert "Discount: Off on Coffee, rounded up by 0.333 of the smallest unit" in told
    assert "Discount: Off on Tea, rounded down by 0.333 of the smallest unit" in told


def test_what_does_not_add_up_is_told_and_the_page_stays(support, environment):
    order = stories.open_order(environment)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orders_lineitem SET discount_amount = 1, total_amount = total_amount - 1")
        text = show(support, order)
        transaction.set_rollback(True)

    assert "do not tell the same" in why(text)
    assert 'id="history"' in text


def test_a_second_is_meant_up_to_its_end():
    assert moment_of("2026-09-07T12:00:00", "Europe/Berlin") == datetime(2026, 9, 7, 10, 0, 0, 999_999, UTC)
    assert moment_of("2026-09-07T12:00", "America/New_York") == datetime(2026, 9, 7, 16, 0, 0, 999_999, UTC)
    assert moment_of("2026-09-07T12:00:00.250Z", "Europe/Berlin") == datetime(2026, 9, 7, 12, 0, 0, 250_000, UTC)


def test_the_second_under_way_is_over_now():
    before = timezone.now()
    assert before <= moment_of(before.replace(microsecond=0).isoformat(), "UTC") <= timezone.now()


@pytest.mark.parametrize("text", ["noon", "2026-13-01T00:00", "9999-12-31T23:59:59+00:00x"])
def test_what_is_no_moment(text):
    with pytest.raises(MomentNotUnderstood):
        moment_of(text, "UTC")


@pytest.mark.django_db(transaction=True)
class TestAsOf:
    @pytest.fixture
    def order(self, environment):
        """An order of 100.00 that became one of 130.00."""
        order = stories.open_order(environment)
        cake = [line(3_000, name="Cake")]
        services.add_line_items(order_id=order.id, line_items=cake, actor=stories.actor_in(environment))
        return order

    def moments(self, order) -> list[datetime]:
        versions = RowVersion.objects.filter(order_id=order.id)
        return sorted(set(versions.values_list("recorded_at", flat=True)))

    def test_the_page_shows_the_order_as_it_stood(self, support, order):
        first, second = self.moments(order)

        then = show(support, order, as_of=first.isoformat())
        now = show(support, order, as_of=second.isoformat())

        assert "As the order stood on" in then and "Back to now" in then
        assert "Cake" not in then and "Total €100.00" in why(then)
        assert then.count('class="fl-event-no"') == 1
        assert "Cake" in now and "Total €130.00" in why(now)
        assert now.count('class="fl-event-no"') == 2

    def test_nothing_can_be_done_to_the_past(self, support, order):
        """What other rooms show, and every button, is about now."""
        first, _ = self.moments(order)

        then, now = show(support, order, as_of=first.isoformat()), show(support, order)

        assert "Add note" in now
        assert "Add note" not in then
        assert "fl-buttons" not in then

    def test_the_form_works_by_itself(self, support, order):
        text = show(support, order)

        assert re.search(r'<form method="get" class="fl-moment"', text)
        assert re.search(r'<input [^>]*type="datetime-local" name="as_of"', text)

    def test_a_moment_before_it_was_created(self, support, order):
        before = self.moments(order)[0] - timedelta(microseconds=1)

        assert "did not exist at that moment" in show(support, order, status=400, as_of=before.isoformat())

    @pytest.mark.parametrize(("moment", "told"), [("2999-01-01T00:00", "not come yet"), ("noon", "Give a day")])
    def test_a_moment_that_is_none(self, support, order, moment, told):
        text = show(support, order, status=400, as_of=moment)

        assert told in text
        assert "Total €130.00" in why(text)

    def test_staff_of_somebody_else_see_no_moment_of_it(self, order):
        stranger = merchants.create_merchant(name="Rival", email="owner@rival.example")
        browser = signed_in(stranger, "support")
        response = browser.get(
            reverse("admin:orders_order_change", args=[order.id]), {"as_of": self.moments(order)[0].isoformat()}
        )
        assert response.status_code in (302, 403, 404)
        assert b"100.00" not in response.content
