"""Many buyers at once, on real PostgreSQL: a link is never paid more often, and an order never more, than it may be."""

from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flint.actors import Actor
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur
from orders.models import Order
from payments import services
from payments.models import CheckoutSession, PaymentLink
from payments.services.links.changing import create_link
from payments.services.links.context import new_context
from payments.services.links.recovery import create_pay_link, visit_pay_link
from payments.services.links.resolving import Resolved, resolve_link
from payments.services.sessions.credentials import buyer_of, new_credential
from payments.tests.acts import at_once, attempts_of, charged, ended, rounds_of
from payments.tests.buyers import Buyer
from payments.tests.test_hosted_page import CARD, form_of

ROUNDS = 5
BUYERS = 20

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    with collecting() as collected:
        yield collected


def a_link(environment, **data: Any) -> PaymentLink:
    line = {"name": "Mug", "unit_price_money": eur(1_200)}
    wanted = {"name": "Sale", "payment_link_type": "standard", "line_items": [line], **data}
    return create_link(data=wanted, actor=actor_in(environment))


def resolved(link: PaymentLink, **options: Any) -> Resolved:
    context = new_context(link, at=timezone.now()).token
    return resolve_link(
        payment_link_id=link.id,
        data={"resolution_context": context},
        actor=Actor(kind="system", environment_id=link.environment_id, id=link.id),
        at=timezone.now(),
        **options,
    )


def paying(order_id: str, buyer: Actor, token: str = "pm_card_visa") -> Any:
    data = {"action": "pay", "payment_source": {"token": token}}
    return services.pay(order_id=order_id, data=data, actor=buyer)


def buyer_in(made: Resolved) -> Actor:
    return buyer_of(made.session, at=timezone.now())


@pytest.mark.processors("sandbox", "faults")
def test_twenty_buyers_of_the_last_one_are_charged_once_in_all(environment):
    for _ in range(rounds_of(environment, ROUNDS)):
        link = a_link(environment, max_completions=1)
        made = [resolved(link) for _ in range(BUYERS)]

        results = at_once(*(partial(paying, each.session.order_id, buyer_in(each)) for each in made))

        outcomes = [(result.attempt.status, result.attempt.failure_code) for result in ended(results)]
        stories.deliver_notices(environment)
        orders = [Order.objects.get(id=each.session.order_id) for each in made]
        assert sum(sum(charged(order)) for order in orders) == 1_200
        assert sorted(order.payment_status for order in orders) == ["paid"] + ["unpaid"] * (BUYERS - 1)
        late = [code for status, code in outcomes if status == "failed"]
        assert late == ["payment_link_capacity_claim_failed"] * (BUYERS - 1)
        for order in orders:
            assert_books(order, paid=sum(charged(order)), active_attempt_id="")
        link.refresh_from_db()
        assert link.completed_count == 1


def test_a_decline_frees_the_place_for_the_next(environment):
    link = a_link(environment, max_completions=1)
    first, second = resolved(link), resolved(link)

    declined = paying(first.session.order_id, buyer_in(first), "pm_card_chargeDeclined")
    assert (declined.attempt.status, declined.attempt.failure_code) == ("failed", "card_declined")
    waiting = paying(first.session.order_id, buyer_in(first), "pm_card_threeDSecure2Required")
    assert waiting.attempt.status == "requires_action"
    late = paying(second.session.order_id, buyer_in(second))
    assert late.attempt.failure_code == "payment_link_capacity_claim_failed"
    services.cancel_attempt(
        order_id=first.session.order_id, attempt_id=waiting.attempt.id, data={}, actor=actor_in(environment)
    )
    assert paying(second.session.order_id, buyer_in(second)).attempt.status == "succeeded"

    link.refresh_from_db()
    assert link.completed_count == 1
    assert attempts_of(late.order) == ["failed", "succeeded"]


def test_many_payments_of_one_link_at_once_are_all_counted(environment):
    link = a_link(environment)
    made = [resolved(link) for _ in range(8)]

    ended(at_once(*(partial(paying, each.session.order_id, buyer_in(each)) for each in made)))

    link.refresh_from_db()
    assert link.completed_count == 8


def test_a_form_that_is_sent_twice_orders_once(environment):
    for number in range(ROUNDS):
        link = a_link(environment)
        before = Order.objects.count()

        results = ended(at_once(*[partial(resolved, link, command_key=f"form {number}")] * 4))

        assert len({each.session.id for each in results}) == 1
        assert Order.objects.count() == before + 1


@pytest.mark.processors("sandbox", "faults")
def test_any_number_of_pay_links_collect_what_is_owed_once(environment):
    """16 buyers, each with a pay link of their own and any page they were led to: collected exactly once."""
    for _ in range(rounds_of(environment, ROUNDS)):
        order = stories.open_order(environment)
        links = [create_pay_link(order_id=order.id, actor=actor_in(environment)) for _ in range(16)]

        def follow(link):
            session = visit_pay_link(link, at=timezone.now())
            return paying(link.order_id, buyer_of(session, at=timezone.now()))

        results = at_once(*(partial(follow, link) for link in links))

        refusals = ("ORDER_PAYMENT_ATTEMPT_ACTIVE", "ORDER_ALREADY_PAID", "CHECKOUT_SESSION_NOT_OPEN")
        assert len(ended(results, *refusals)) == 1
        stories.deliver_notices(environment)
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0, active_attempt_id="")
        assert order.checkout_sessions.filter(status="open").count() == 0


@pytest.mark.processors("sandbox")
def test_64_buyers_on_every_surface_at_once_pay_an_order_once(environment):
    """
    32 with pay links, 16 on the hosted page and 16 through the API: collected exactly once, and the other 63 are told
    so kindly. Nobody's answer is an error of ours.
    """
    order = stories.open_order(environment)
    session = stories.checkout(order).session
    links = [create_pay_link(order_id=order.id, actor=actor_in(environment)) for _ in range(32)]
    browsers = [browser_in(session) for _ in range(16)]
    buyers = [Buyer(session.id, new_credential(session), environment) for _ in range(16)]

    def follow(link):
        led_to = visit_pay_link(link, at=timezone.now())
        return paying(link.order_id, buyer_of(led_to, at=timezone.now()))

    def press(browser, form):
        return browser.post(f"/checkout/{session.id}/pay", {**form, **CARD})

    def call(buyer):
        source = {"confirmation_token": "ctoken_card_visa"}
        return buyer.post(f"/v1/orders/{order.id}/pay", {"action": "pay", "payment_source": source})

    results = at_once(
        *(partial(follow, link) for link in links),
        *(partial(press, *each) for each in browsers),
        *(partial(call, buyer) for buyer in buyers),
    )

    stories.deliver_notices(environment)
    assert charged(order) == [10_000]
    assert_books(order, paid=10_000, outstanding=0, active_attempt_id="")
    assert order.checkout_sessions.filter(status="open").count() == 0
    by_link, by_page, by_call = results[:32], results[32:48], results[48:]
    refusals = ("ORDER_PAYMENT_ATTEMPT_ACTIVE", "ORDER_ALREADY_PAID", "CHECKOUT_SESSION_NOT_OPEN")
    won = len(ended(by_link, *refusals))
    won += sum(answer.status_code == 200 for answer in by_call)
    assert all(answer.status_code in (200, 401, 409) for answer in by_call)
    assert all(answer.status_code in (303, 422) for answer in by_page), by_page
    seen = [browser.get(f"/checkout/{session.id}").content.decode() for browser, _ in browsers]
    won += sum("Thank you, your order is paid" in page for page in seen)
    told = sum("This order is already paid" in page for page in seen)
    assert won == 1 and told + sum("Thank you" in page for page in seen) == 16


def browser_in(session) -> tuple[Client, dict[str, str]]:
    """A browser that was let into a session, with the form that it was shown."""
    browser = Client()
    browser.get(f"/checkout/{session.id}/{CheckoutSession.objects.get(id=session.id).launch_secret.reveal()}")
    return browser, form_of(browser.get(f"/checkout/{session.id}"))
