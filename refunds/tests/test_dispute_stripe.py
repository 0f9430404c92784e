"""Disputes at Stripe, through the real SDK: told in any order, or about somebody else's payment."""

from itertools import permutations

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur
from payments.models import ProcessorNotice
from payments.processors.stripe.tests.shop import hear, reference_of
from refunds.models import Dispute

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(stripe_environment):
    """An order of 100 euros that was paid with a card."""
    return stories.paid_order(stripe_environment)


def told_of_disputes(server, arranged) -> None:
    """Deliver what Stripe tells of disputes in another order, some of it twice."""
    waiting = server.account.webhooks.waiting
    waiting[:] = arranged([delivery for delivery in waiting if delivery.event["type"].startswith("charge.dispute.")])
    assert set(hear(server)) <= {"handled", "ignored"}


def test_d111_a_lost_dispute_after_a_partial_refund_takes_only_the_rest(stripe_server, order):
    stories.refund(order, amount_money=eur(3_000))
    reference = stripe_server.book.open_dispute(reference_of(order), 10_000)["id"]
    hear(stripe_server)
    assert Dispute.objects.get(reference=reference).withdrawn_amount == 10_000

    stripe_server.book.lose_dispute(reference, reinstated=3_000)
    hear(stripe_server)

    assert_books(order, processor=False, paid=10_000, refunded=3_000, charged_back=7_000)
    assert Dispute.objects.get(reference=reference).status == "lost"


@pytest.mark.parametrize("arranged", list(permutations(range(3))))
def test_d116_news_of_a_dispute_comes_in_any_order(stripe_server, order, arranged):
    reference = stripe_server.book.open_dispute(reference_of(order), 3_500)["id"]
    stripe_server.book.lose_dispute(reference)

    told_of_disputes(stripe_server, lambda told: [told[place] for place in arranged])

    assert_books(order, processor=False, paid=10_000, charged_back=3_500)
    assert Dispute.objects.get(reference=reference).status == "lost"


def test_d117_lost_yesterday_and_won_today(stripe_server, order):
    reference = stripe_server.book.open_dispute(reference_of(order))["id"]
    stripe_server.book.lose_dispute(reference)
    hear(stripe_server)
    assert_books(order, processor=False, charged_back=10_000)

    stripe_server.book.win_dispute(reference)
    hear(stripe_server)
    assert_books(order, processor=False, charged_back=0)

    stories.refund(order)
    assert_books(order, processor=False, paid=10_000, refunded=10_000, charged_back=0)


def test_a_question_takes_nothing_until_it_becomes_a_claim(stripe_server, order):
    reference = stripe_server.book.open_dispute(reference_of(order), inquiry=True)["id"]
    hear(stripe_server)
    assert_books(order, processor=False, charged_back=0)
    dispute = Dispute.objects.get(reference=reference)
    assert (dispute.status, dispute.case_type) == ("warning_needs_response", "inquiry")

    stripe_server.book.escalate_dispute(reference)
    hear(stripe_server)
    assert_books(order, processor=False, charged_back=10_000)


def test_a_dispute_of_somebody_elses_payment_is_kept_apart(stripe_server, order):
    foreign = stripe_server.book.create_intent(
        {
            "amount": 500,
            "currency": "eur",
            "payment_method": "pm_card_createDispute",
            "confirm": True,
            "metadata": {"flint_environment_id": "env_other"},
        }
    )

    hear(stripe_server)

    assert foreign.intent["status"] == "succeeded"
    notices = ProcessorNotice.objects.filter(type="charge.dispute.created")
    assert [notice.status for notice in notices] == ["foreign"]
    assert not Dispute.objects.exists()
