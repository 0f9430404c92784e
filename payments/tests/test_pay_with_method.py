"""Paying with a card that the customer saved before: whose it is, whether it may be charged, and who is there."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone

from flint import actors
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import deliver_notices, eur, settled, sweep, wire
from orders.models import Order
from orders.services import create_customer
from payments import services
from payments.models import PaymentMethod
from payments.models.methods import PaymentMethodNotFound
from payments.processors.sandbox.models import SandboxSetup, SandboxToken
from payments.services.sources import PaymentMethodOnSessionOnly, PaymentSourceNotAllowed, source_of
from payments.tests.acts import (
    THREE_D_SECURE,
    at_once,
    attempt_of,
    authenticate,
    charged,
    confirm,
    ended,
    going_wrong,
    later,
    nothing_moves,
    pay,
    resume,
    save_card,
    saved_card,
    stage,
)

DEVICE = {"Flint-Buyer-Device": "0123456789abcdef" * 2}
ONCE = "pm_card_authenticationRequired"
NEVER = "pm_card_chargeCustomerFail"


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "ada@post.example"}, actor=stories.actor_in(environment))


@pytest.fixture
def other(environment):
    return create_customer(data={"email": "bob@post.example"}, actor=stories.actor_in(environment))


def with_saved(method_id) -> dict:
    return {"payment_source": {"payment_method_id": method_id}}


def post_pay(api, order, body, **options):
    return api.post(f"/v1/orders/{order.id}/pay", {"action": "pay", **body}, **options)


def confirm_alone(api, intent, body, **options):
    return api.post(f"/v1/payment-intents/{intent}/confirm", body, **options)


def alone(api, **data) -> str:
    """A standalone payment intent's id."""
    body = {"amount_money": wire(eur(10_000)), "payment_options": ["card"], **data}
    return api.post("/v1/payment-intents", body).data["payment_intent"]["payment_intent_id"]


@pytest.mark.processors("sandbox", "stripe")
class TestPaying:
    """Each way to pay takes a saved card."""

    def test_the_whole_order(self, api, environment, customer):
        method = saved_card(api, customer)
        order = stories.open_order(environment, customer_id=customer.id)

        paid = post_pay(api, order, with_saved(method))

        assert paid.data["payment_attempt"]["status"] == "succeeded"
        assert_books(order, paid=10_000, payment_status="paid")
        assert charged(order) == [10_000]
        (leg,) = api.get("/v1/payment-intents", {"order_id": order.id}).data
        assert leg["payment_source"] == {
            "type": "card",
            "card": {"brand": "visa", "last4": "4242", "payment_method_id": method},
        }

    def test_a_part_of_it(self, api, environment, customer):
        method = saved_card(api, customer)
        order = stories.open_order(environment, customer_id=customer.id)
        first, second = stage(api, order, 4_000), stage(api, order, 6_000)
        chosen = [
            {"payment_intent_id": first, "payment_method_id": method},
            {"payment_intent_id": second, "token": "pm_card_visa"},
        ]

        body = {"action": "confirm_payment_intents", "payment_intents": chosen}
        paid = api.post(f"/v1/orders/{order.id}/pay", body)

        assert paid.data["payment_attempt"]["status"] == "succeeded"
        assert sorted(charged(order)) == [4_000, 6_000]
        saved = {leg.id: leg.payment_method_id for leg in order.payment_intents.all()}
        assert saved == {first: method, second: None}

    def test_a_payment_without_an_order(self, api, customer):
        method = saved_card(api, customer)
        intent = alone(api, customer_id=customer.id)

        paid = confirm_alone(api, intent, {"payment_method_id": method})

        assert (paid.data["status"], paid.data["payment_source"]["card"]["payment_method_id"]) == ("succeeded", method)
        assert_books(Order.objects.get(payment_intents__id=intent), paid=10_000)

    def test_a_declined_one_gives_way_to_another_source(self, api, environment, customer):
        method = saved_card(api, customer, NEVER)
        order = stories.open_order(environment, customer_id=customer.id)

        declined = post_pay(api, order, with_saved(method))
        assert declined.data["payment_attempt"]["failure_code"] == "card_declined"
        pay(api, order)

        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, payment_status="paid")
        by_status = {leg.status: leg.payment_method_id for leg in order.payment_intents.all()}
        assert by_status == {"requires_payment_method": method, "succeeded": None}

    def test_a_lost_answer_charges_it_once(self, api, environment, customer):
        method = saved_card(api, customer)
        order = stories.open_order(environment, customer_id=customer.id)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            post_pay(api, order, with_saved(method), key="one wish")

        sweep(at=later(minutes=1))

        assert charged(order) == [10_000]
        assert_books(order, paid=10_000)


class TestWhoseItIs:
    """A saved card pays what its customer owes, and nothing else."""

    def test_an_order_without_a_customer(self, api, environment, customer):
        method = saved_card(api, customer)
        order = stories.open_order(environment)

        with nothing_moves(order):
            refused = post_pay(api, order, with_saved(method))

        assert (refused.status_code, refused.code) == (409, "ORDER_PAYMENT_CUSTOMER_MISMATCH")
        assert refused.error["param"] == "payment_source.payment_method_id"

    def test_another_customers_order(self, api, environment, customer, other):
        method = saved_card(api, customer)
        order = stories.open_order(environment, customer_id=other.id)

        with nothing_moves(order):
            refused = post_pay(api, order, with_saved(method))

        assert (refused.status_code, refused.code) == (409, "PAYMENT_SOURCE_OWNERSHIP_MISMATCH")

    @pytest.mark.parametrize(
        ("whose", "code"), [(None, "PAYMENT_METHOD_CUSTOMER_MISMATCH"), ("other", "PAYMENT_SOURCE_OWNERSHIP_MISMATCH")]
    )
    def test_a_payment_of_nobody_or_of_another(self, api, customer, other, whose, code):
        method = saved_card(api, customer)
        intent = alone(api, **({"customer_id": other.id} if whose else {}))

        with nothing_moves(Order.objects.get(payment_intents__id=intent)):
            refused = confirm_alone(api, intent, {"payment_method_id": method})

        assert (refused.status_code, refused.code) == (409, code)
        assert refused.error["param"] == "payment_method_id"

    def test_another_merchants_card_is_not_there(self, api, other_api, environment, customer):
        actor = stories.actor_in(other_api.environment)
        theirs = create_customer(data={"email": "ada@post.example"}, actor=actor)
        method = saved_card(other_api, theirs)
        order = stories.open_order(environment, customer_id=customer.id)

        with nothing_moves(order):
            refused = post_pay(api, order, with_saved(method))

        assert (refused.status_code, refused.code) == (404, "RESOURCE_NOT_FOUND")

    def test_the_processor_itself_charges_a_kept_card_with_its_customer_alone(self, api, environment, customer):
        saved_card(api, customer)
        order = stories.open_order(environment)

        declined = pay(api, order, PaymentMethod.objects.get().reference)

        assert declined.data["payment_attempt"]["failure_code"] == "invalid_payment_source"
        assert charged(order) == []


class TestWhetherItMay:
    """A card that is not active is refused before anything is written down."""

    def refuse(self, api, environment, customer, method, code):
        order = stories.open_order(environment, customer_id=customer.id)
        with nothing_moves(order):
            refused = post_pay(api, order, with_saved(method))
        assert (refused.status_code, refused.code) == (409, code)

    def test_not_saved_yet(self, api, environment, customer):
        method = save_card(api, customer).data["payment_method"]["payment_method_id"]

        self.refuse(api, environment, customer, method, "PAYMENT_METHOD_NOT_READY")

    def test_removed(self, api, environment, customer):
        method = saved_card(api, customer)
        api.call("DELETE", f"/v1/payment-methods/{method}")

        self.refuse(api, environment, customer, method, "PAYMENT_METHOD_UNAVAILABLE")

    def test_expired(self, api, environment, customer):
        method = saved_card(api, customer)
        until = PaymentMethod.objects.get()
        sweep(at=datetime(until.exp_year + 1, 1, 1, tzinfo=UTC))
        assert PaymentMethod.objects.get().status == "expired"

        self.refuse(api, environment, customer, method, "PAYMENT_METHOD_UNAVAILABLE")

    def test_run_out_but_not_swept_yet(self, api, environment, customer):
        method = saved_card(api, customer)
        last_month = timezone.now().replace(day=1) - timedelta(days=1)
        PaymentMethod.objects.update(exp_month=last_month.month, exp_year=last_month.year)

        self.refuse(api, environment, customer, method, "PAYMENT_METHOD_UNAVAILABLE")

    def test_saved_for_the_buyers_own_checkouts(self, api, environment, customer):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(usage="on_session")

        self.refuse(api, environment, customer, method, "PAYMENT_METHOD_ON_SESSION_ONLY")

    @pytest.mark.parametrize(
        "source", [{"payment_method_id": "pm_01J00000000000000000000000", "token": "pm_card_visa"}, {}]
    )
    def test_two_sources_or_none(self, api, environment, customer, source):
        order = stories.open_order(environment, customer_id=customer.id)

        with nothing_moves(order):
            refused = post_pay(api, order, {"payment_source": source})

        assert refused.code == ("PAYMENT_SOURCE_CONFLICT" if source else "INVALID_PAYMENT_SOURCE")

    @pytest.mark.parametrize(
        ("acts_for", "usage", "refusal"),
        [
            ("customer", "on_session", None),
            ("customer", "off_session", None),
            ("nobody", "off_session", PaymentSourceNotAllowed),
            ("other", "off_session", PaymentSourceNotAllowed),
        ],
    )
    @pytest.mark.parametrize("is_guest_order", [False, True])
    def test_a_buyer_pays_with_the_cards_of_the_customer_that_the_checkout_acts_for(
        self, api, environment, customer, other, acts_for, usage, refusal, is_guest_order
    ):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(usage=usage)
        order = stories.open_order(environment, **({} if is_guest_order else {"customer_id": customer.id}))
        if is_guest_order and acts_for == "other":
            refusal = PaymentMethodNotFound
        acting = {"customer": customer.id, "nobody": "", "other": other.id}[acts_for]
        buyer = actors.Actor("customer", environment.id, id="cs_1", order_id=order.id, customer_id=acting)

        def choose():
            given = {"payment_method_id": method}
            return source_of(order, given, "payment_source", processor="sandbox", actor=buyer)

        if refusal:
            with pytest.raises(refusal):
                choose()
        else:
            assert choose().method.id == method

    def test_a_key_is_refused_what_the_same_buyer_may(self, api, environment, customer):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(usage="on_session")
        order = stories.open_order(environment, customer_id=customer.id)
        key = actors.Actor("key", environment.id, id="key_1")

        with pytest.raises(PaymentMethodOnSessionOnly):
            source_of(order, {"payment_method_id": method}, "payment_source", processor="sandbox", actor=key)


@pytest.mark.processors("sandbox", "stripe")
class TestWhoIsThere:
    """A card that wants its owner is declined while they are absent, and asks them while they are there."""

    def test_an_absent_owner_cannot_authenticate(self, api, environment, customer):
        method = saved_card(api, customer, THREE_D_SECURE)
        order = stories.open_order(environment, customer_id=customer.id)

        declined = post_pay(api, order, with_saved(method))

        assert declined.data["payment_attempt"]["failure_code"] == "authentication_required"
        assert_books(order, paid=0, active_attempt_id="")

    def test_a_present_owner_is_asked(self, api, environment, customer):
        method = saved_card(api, customer, THREE_D_SECURE)
        order = stories.open_order(environment, customer_id=customer.id)

        waiting = post_pay(api, order, with_saved(method), headers=DEVICE)
        assert waiting.data["payment_attempt"]["status"] == "requires_action"
        authenticate(api, waiting)
        resume(api, order, attempt_of(waiting))

        assert_books(order, paid=10_000, payment_status="paid")

    def test_a_card_that_was_authenticated_when_it_was_saved_is_charged_without_its_owner(
        self, api, environment, customer
    ):
        method = saved_card(api, customer, ONCE)
        order = stories.open_order(environment, customer_id=customer.id)

        paid = post_pay(api, order, with_saved(method))

        assert paid.data["payment_attempt"]["status"] == "succeeded"

    def test_a_token_is_always_handed_in_by_somebody(self, api, environment):
        order = stories.open_order(environment)

        assert pay(api, order, THREE_D_SECURE).data["payment_attempt"]["status"] == "requires_action"

    def test_the_same_without_an_order(self, api, customer):
        method = saved_card(api, customer, THREE_D_SECURE)
        intent = alone(api, customer_id=customer.id)

        absent = confirm_alone(api, intent, {"payment_method_id": method})
        assert absent.data["last_payment_error"]["code"] == "authentication_required"
        present = confirm_alone(api, intent, {"payment_method_id": method}, headers=DEVICE)

        assert present.data["status"] == "requires_action"
        assert present.data["current_payment_action"]["subject"] == {"payment_intent": {"payment_intent_id": intent}}

    @pytest.mark.parametrize("device", ["", "0123", "0123456789ABCDEF" * 2, "0123456789abcdef" * 2 + "0"])
    def test_a_device_in_another_form_is_refused(self, api, environment, device):
        order = stories.open_order(environment)
        intent = alone(api)
        headers = {"Flint-Buyer-Device": device}

        with nothing_moves(order):
            refused = post_pay(api, order, {"payment_source": {"token": "pm_card_visa"}}, headers=headers)
        refused_alone = confirm_alone(api, intent, {"payment_source_token": "pm_card_visa"}, headers=headers)

        for answer in (refused, refused_alone):
            assert (answer.status_code, answer.code) == (400, "INVALID_REQUEST")
            assert answer.error["param"] == "Flint-Buyer-Device"


class TestRemovingMeanwhile:
    """A card that is removed while it pays."""

    def test_the_processor_forgets_it_when_the_payment_has_ended(self, api, environment, customer):
        method = saved_card(api, customer, THREE_D_SECURE)
        order = stories.open_order(environment, customer_id=customer.id)
        waiting = post_pay(api, order, with_saved(method), headers=DEVICE)
        with settled():
            assert api.call("DELETE", f"/v1/payment-methods/{method}").status_code == 200
        sweep(at=later(minutes=5))
        assert SandboxToken.objects.exists()

        authenticate(api, waiting)
        resume(api, order, attempt_of(waiting))
        sweep(at=later(minutes=10))

        assert_books(order, paid=10_000)
        assert not SandboxToken.objects.exists()
        (leg,) = api.get("/v1/payment-intents", {"order_id": order.id}).data
        assert leg["payment_source"]["card"]["payment_method_id"] == method

    @pytest.mark.django_db(transaction=True)
    def test_at_once_it_is_charged_or_refused_but_never_forgotten_in_between(self, api, environment, customer):
        actor = stories.actor_in(environment)
        for _ in range(20):
            method = saved_card(api, customer)
            order = stories.open_order(environment, customer_id=customer.id)

            def forget(method=method):
                services.remove_method(payment_method_id=method, actor=actor)
                services.methods.detach(method, actor=actor)

            with collecting():
                wanted = {"action": "pay", **with_saved(method)}
                paying = partial(services.pay, order_id=order.id, data=wanted, actor=actor)
                results = at_once(paying, forget)

            ended(results, "PAYMENT_METHOD_UNAVAILABLE")
            refused = getattr(results[0], "code", "") == "PAYMENT_METHOD_UNAVAILABLE"
            assert charged(order) == ([] if refused else [10_000])
            assert_books(order, paid=sum(charged(order)), active_attempt_id="")
            assert PaymentMethod.objects.get(id=method).status == "removed"


class TestGivingBack:
    """Money of a saved card goes back like any other, also once the card is gone."""

    def test_a_refund_after_the_card_was_removed(self, api, customer):
        method = saved_card(api, customer)
        intent = alone(api, customer_id=customer.id)
        confirm_alone(api, intent, {"payment_method_id": method})
        with settled():
            api.call("DELETE", f"/v1/payment-methods/{method}")
        assert not SandboxSetup.objects.filter(token__isnull=False).exists()

        with settled():
            refund = api.post("/v1/refunds", {"payment_intent_id": intent, "amount_money": wire(eur(4_000))})
        deliver_notices(customer.environment)

        assert refund.status_code == 201
        assert_books(Order.objects.get(payment_intents__id=intent), paid=10_000, refunded=4_000)
        assert api.get(f"/v1/payment-intents/{intent}").data["refund_status"] == "partially_refunded"


def test_confirming_takes_a_token_as_before(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order)

    confirm(api, order, leg)

    assert order.payment_intents.get().payment_method_id is None
