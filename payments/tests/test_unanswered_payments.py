"""Payments of unknown outcome beyond their deadline: staff find them, and have the processor asked."""

import pytest
from django.urls import reverse

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import settled
from payments.models import PaymentOperation
from payments.tests.acts import charged, going_wrong, later, nothing_moves, pay


@pytest.fixture
def unknown(api, environment):
    """An order whose payment went through, while its answer was lost an hour ago and nobody has asked since."""
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"), collecting():
        pay(api, order)
    PaymentOperation.objects.filter(payment_intent__order=order).update(created_at=later(hours=-1))
    return order


def listed(staff) -> str:
    return page(staff.get(reverse("admin:payments_paymentintent_changelist"), {"work": "unanswered"}))


def test_it_is_on_the_list_until_the_processor_was_asked(merchant, unknown):
    finance = signed_in(merchant, "finance")
    leg = unknown.payment_intents.get()
    assert "payments have an unknown outcome beyond its deadline" in page(finance.get(reverse("admin:index")))
    assert leg.id in listed(finance)
    url = reverse("admin:payments_paymentintent_ask", args=[leg.id])
    assert url in page(finance.get(reverse("admin:payments_paymentintent_change", args=[leg.id])))

    with settled():
        told = finance.post(url, follow=True)

    assert "The processor is being asked." in page(told)
    assert leg.id not in listed(finance)
    assert_books(unknown, paid=10_000, outstanding=0)
    assert charged(unknown) == [10_000]


def test_whoever_may_not_is_offered_nothing(merchant, unknown):
    support = signed_in(merchant, "support")
    leg = unknown.payment_intents.get()
    url = reverse("admin:payments_paymentintent_ask", args=[leg.id])

    assert url not in page(support.get(reverse("admin:payments_paymentintent_change", args=[leg.id])))
    with nothing_moves(unknown):
        assert support.post(url).status_code == 403


def test_what_was_answered_or_is_fresh_is_not_on_it(api, merchant, environment):
    stories.paid_order(environment)
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"), collecting():
        pay(api, order)

    finance = signed_in(merchant, "finance")
    assert all(leg not in listed(finance) for leg in order.payment_intents.values_list("id", flat=True))
