"""Saving a customer's card: what the merchant asks for, what the buyer does, and what becomes of it by itself."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.celery import collecting
from flint.events.models import Event
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.stories import deliver_notices, settled, sweep
from orders.services import create_customer
from payments.models import CheckoutSession, PaymentMethod, PaymentMethodSetup
from payments.processors.base import DoesNotFit, SetupState
from payments.processors.sandbox import faults
from payments.processors.sandbox.models import SandboxSetup, SandboxToken
from payments.services import record_setup
from payments.services.methods.recording import BUYER_HAS
from payments.services.sessions.credentials import new_credential
from payments.tests.acts import DECLINED, THREE_D_SECURE, at_once, ended, hand_in, later, pay, save_card, saved_card

STATEMENTS_OF_A_LIST = 2


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "ada@post.example"}, actor=stories.actor_in(environment))


def read(api, method_id):
    return api.get(f"/v1/payment-methods/{method_id}").data


def id_of(saving) -> str:
    return saving.data["payment_method"]["payment_method_id"]


def told_of(method_id) -> list[str]:
    """The types of what is remembered of a payment method, oldest first."""
    return list(Event.objects.filter(subject_id=method_id).order_by("id").values_list("type", flat=True))


def prefer(api, method_id, **options):
    return api.post(f"/v1/payment-methods/{method_id}/set-default", None, **options)


def remove(api, method_id, **options):
    return api.call("DELETE", f"/v1/payment-methods/{method_id}", **options)


class TestBeginning:
    """The request, and what it answers."""

    def test_it_waits_for_the_buyer(self, api, customer):
        saving = save_card(api, customer)

        assert saving.status_code == 201
        method = saving.data["payment_method"]
        assert (method["status"], method["usage"], method["type"]) == ("pending", "off_session", "card")
        assert (method["customer_id"], "card" in method) == (customer.id, False)
        stripe = saving.data["client_setup"]["stripe"]
        assert stripe["publishable_key"].startswith("pk_")
        assert stripe["setup_intent"]["stripe_js_call"] == "confirm_setup"
        setup = SandboxSetup.objects.get()
        assert stripe["setup_intent"]["client_secret"] == setup.client_secret
        assert saving.data["client_setup"]["redirect_url"].endswith(f"/sandbox/cards/{setup.client_secret}")
        assert (setup.payment_method_id, setup.customer_id) == (method["payment_method_id"], customer.id)

    def test_its_secret_is_shown_to_nobody_else(self, api, customer):
        saving = save_card(api, customer)
        secret = saving.data["client_setup"]["stripe"]["setup_intent"]["client_secret"]

        for path in (f"/v1/payment-methods/{id_of(saving)}", "/v1/payment-methods", f"/v1/customers/{customer.id}"):
            assert secret not in api.get(path).content.decode()
        stored = [PaymentMethod.objects.values().get(), PaymentMethodSetup.objects.values().get()]
        assert secret not in str(stored + list(Event.objects.values()))

    @pytest.mark.parametrize(
        ("body", "code", "status"),
        [
            ({}, "FIELD_REQUIRED", 400),
            ({"customer_id": "cus_01J00000000000000000000000"}, "RESOURCE_NOT_FOUND", 404),
            ({"customer_id": "somebody"}, "RESOURCE_NOT_FOUND", 404),
            ({"customer_id": None}, "NULL_NOT_ALLOWED", 400),
            ({"type": "ach_debit"}, "INVALID_PAYMENT_METHOD_TYPE", 400),
            ({"usage": "on_session"}, "UNKNOWN_FIELD", 400),
        ],
    )
    def test_a_refused_one_leaves_nothing_behind(self, api, customer, body, code, status):
        if body and "customer_id" not in body:
            body = {"customer_id": customer.id, **body}

        refused = api.post("/v1/payment-methods", body)

        assert (refused.status_code, refused.code) == (status, code)
        assert not PaymentMethod.objects.exists()
        assert not SandboxSetup.objects.exists()

    def test_a_repeat_is_answered_the_same_and_begins_nothing(self, api, customer):
        first = save_card(api, customer, key="one wish")
        again = save_card(api, customer, key="one wish")

        assert again.data == first.data
        assert PaymentMethod.objects.count() == SandboxSetup.objects.count() == 1

    def test_a_key_for_another_wish_is_refused(self, api, customer, environment):
        other = create_customer(data={"email": "bob@post.example"}, actor=stories.actor_in(environment))
        save_card(api, customer, key="one wish")

        refused = save_card(api, other, key="one wish")

        assert (refused.status_code, refused.code) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert PaymentMethod.objects.count() == 1

    @pytest.mark.parametrize(("fault", "begun"), [("lose_answer", 1), ("never_executed", 0), ("unreachable", 0)])
    def test_a_lost_answer_is_gone_on_with_by_repeating_the_request(self, api, customer, fault, begun):
        faults.plan(customer.environment_id, on="setup", fault=fault)

        lost = save_card(api, customer, key="one wish")
        assert (lost.status_code, lost.code) == (503, "PAYMENT_PROCESSOR_UNAVAILABLE")
        assert SandboxSetup.objects.count() == begun
        again = save_card(api, customer, key="one wish")

        assert again.status_code == 201
        setup = SandboxSetup.objects.get()
        assert again.data["client_setup"]["stripe"]["setup_intent"]["client_secret"] == setup.client_secret
        assert id_of(again) == setup.payment_method_id == PaymentMethod.objects.get().id

    def test_what_the_processor_refuses_has_failed(self, api, customer):
        faults.plan(customer.environment_id, on="setup", fault="refuse", code="processing_error", message="Not now.")

        saving = save_card(api, customer)

        assert (saving.status_code, saving.data["payment_method"]["status"]) == (201, "failed")
        assert "client_setup" not in saving.data
        (failed,) = Event.objects.filter(type="payment_method.failed")
        assert (failed.data["failure_code"], failed.data["failure_message"]) == ("processing_error", "Not now.")

    def test_an_environment_without_a_processor_saves_none(self, api, customer):
        type(customer.environment).objects.filter(id=customer.environment_id).update(processor="")

        refused = save_card(api, customer)

        assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED")
        assert not PaymentMethod.objects.exists()


class TestHandingIn:
    """What the buyer does, and how it comes to be known."""

    @pytest.mark.processors("sandbox", "stripe")
    def test_at_every_processor_a_card_is_saved_paid_with_and_forgotten(self, api, customer):
        saving = save_card(api, customer)
        hand_in(api, saving, DECLINED)
        deliver_notices(customer.environment)
        assert read(api, id_of(saving))["status"] == "failed"
        hand_in(api, saving)
        deliver_notices(customer.environment)
        method = read(api, id_of(saving))
        assert (method["status"], method["card"]["brand"], method["card"]["last4"]) == ("active", "visa", "4242")
        second = saved_card(api, customer)
        assert len(set(PaymentMethod.objects.values_list("customer_reference", flat=True))) == 1

        order = stories.open_order(customer.environment, customer_id=customer.id)
        for number, chosen in enumerate((id_of(saving), second)):
            with settled():
                removed = remove(api, chosen)
            assert removed.status_code == 200
            refused = pay(api, order, payment_source={"payment_method_id": chosen})
            assert refused.code == "PAYMENT_METHOD_UNAVAILABLE"
            assert PaymentMethod.objects.filter(status="removed", detach_at=None).count() == number + 1

    @pytest.mark.processors("sandbox", "stripe")
    def test_at_every_processor_the_sweep_alone_learns_of_it(self, api, customer):
        saving = save_card(api, customer)
        hand_in(api, saving)

        sweep(at=later(minutes=1))

        assert read(api, id_of(saving))["status"] == "active"

    def test_a_notice_makes_it_active(self, api, customer):
        saving = save_card(api, customer)
        hand_in(api, saving)
        assert read(api, id_of(saving))["status"] == "pending"

        deliver_notices(customer.environment)

        method = read(api, id_of(saving))
        assert method["status"] == "active"
        until = timezone.now() + timedelta(days=4 * 365)
        assert method["card"] == {
            "brand": "visa",
            "last4": "4242",
            "exp_month": until.month,
            "exp_year": until.year,
        }
        assert told_of(id_of(saving)) == ["payment_method.created", "payment_method.saved"]
        told = Event.objects.get(type="payment_method.saved")
        assert (told.order_id, told.actor_kind) == (None, "processor")
        assert told.data == {
            "customer_id": customer.id,
            "status": "active",
            "usage": "off_session",
            "card_brand": "visa",
            "card_last4": "4242",
            "card_exp_month": until.month,
            "card_exp_year": until.year,
        }

    def test_a_notice_that_comes_again_changes_nothing(self, api, customer):
        faults.plan(customer.environment_id, on="notice", fault="duplicate", count=2)
        method = saved_card(api, customer)
        before = PaymentMethod.objects.values().get()

        sweep(at=later(hours=1))

        assert PaymentMethod.objects.values().get() == before
        assert told_of(method) == ["payment_method.created", "payment_method.saved"]

    def test_with_every_notice_dropped_the_sweep_alone_learns_of_it(self, api, customer):
        faults.plan(customer.environment_id, on="notice", fault="drop", times=None)
        saving = save_card(api, customer)
        hand_in(api, saving)
        deliver_notices(customer.environment)
        assert read(api, id_of(saving))["status"] == "pending"

        sweep(at=later(minutes=1))

        assert read(api, id_of(saving))["status"] == "active"
        assert PaymentMethodSetup.objects.get().next_check_at is None

    @pytest.mark.parametrize(
        ("token", "outcome", "code"),
        [
            (DECLINED, "pass", "card_declined"),
            ("pm_card_chargeDeclinedInsufficientFunds", "pass", "insufficient_funds"),
            (THREE_D_SECURE, "fail", "authentication_required"),
        ],
    )
    def test_a_declined_card_has_failed_and_another_one_may_do(self, api, customer, token, outcome, code):
        saving = save_card(api, customer)
        hand_in(api, saving, token, outcome)
        deliver_notices(customer.environment)

        method = read(api, id_of(saving))
        assert (method["status"], "card" in method) == ("failed", False)
        failed = Event.objects.get(type="payment_method.failed")
        assert (failed.data["failure_code"], failed.data["customer_id"]) == (code, customer.id)

        hand_in(api, saving)
        deliver_notices(customer.environment)
        assert read(api, id_of(saving))["status"] == "active"
        assert told_of(id_of(saving))[1:] == ["payment_method.failed", "payment_method.saved"]

    def test_a_buyer_who_authenticates_has_the_card_saved(self, api, customer):
        method = saved_card(api, customer, THREE_D_SECURE)

        assert read(api, method)["card"]["last4"] == "3220"

    def test_a_buyer_who_never_comes_back_leaves_a_failed_one(self, api, customer):
        saving = save_card(api, customer)

        sweep(at=timezone.now() + BUYER_HAS - timedelta(minutes=1))
        assert read(api, id_of(saving))["status"] == "pending"
        sweep(at=timezone.now() + BUYER_HAS + timedelta(hours=2))

        assert read(api, id_of(saving))["status"] == "failed"
        assert Event.objects.get(type="payment_method.failed").data["failure_code"] == "payment_action_expired"
        assert PaymentMethodSetup.objects.get().next_check_at is None

    def test_a_card_that_is_handed_in_even_later_counts_all_the_same(self, api, customer):
        saving = save_card(api, customer)
        sweep(at=timezone.now() + BUYER_HAS + timedelta(hours=2))

        hand_in(api, saving)
        deliver_notices(customer.environment)

        assert read(api, id_of(saving))["status"] == "active"

    def test_one_that_the_processor_never_heard_of_fails_once_it_can_no_longer_arrive(self, api, customer):
        faults.plan(customer.environment_id, on="setup", fault="never_executed")
        save_card(api, customer)

        sweep(at=later(minutes=5))
        assert PaymentMethod.objects.get().status == "pending"
        sweep(at=later(minutes=20))

        assert PaymentMethod.objects.get().status == "failed"
        assert not SandboxSetup.objects.exists()

    def test_one_whose_answer_was_lost_is_found_by_the_sweep(self, api, customer):
        faults.plan(customer.environment_id, on="setup", fault="lose_answer")
        save_card(api, customer)

        sweep(at=later(minutes=1))

        setup = PaymentMethodSetup.objects.get()
        assert (setup.reference, setup.payment_method.status) == (SandboxSetup.objects.get().reference, "pending")

    def test_a_processor_that_cannot_be_asked_leaves_all_as_it_is_and_is_asked_later(self, api, customer):
        faults.plan(customer.environment_id, on="notice", fault="drop", times=None)
        saving = save_card(api, customer)
        hand_in(api, saving)
        deliver_notices(customer.environment)
        faults.plan(customer.environment_id, on="retrieve", fault="unreachable")

        sweep(at=later(minutes=1))
        assert read(api, id_of(saving))["status"] == "pending"
        sweep(at=later(minutes=10))

        assert read(api, id_of(saving))["status"] == "active"

    @pytest.mark.parametrize(
        "foreign",
        [
            {"environment_id": "env_01J00000000000000000000000"},
            {"payment_method_id": "pm_01J00000000000000000000000"},
            {"operation_id": "pms_01J00000000000000000000000"},
            {"reference": "sbs_another"},
        ],
    )
    def test_a_state_of_something_else_is_never_kept(self, api, customer, foreign):
        save_card(api, customer)
        setup = PaymentMethodSetup.objects.get()
        ours = {
            "reference": setup.reference,
            "operation_id": setup.id,
            "payment_method_id": setup.payment_method_id,
            "environment_id": setup.environment_id,
        }
        state = SetupState(status="succeeded", token="pm_stolen", **{**ours, **foreign})

        with pytest.raises(DoesNotFit):
            record_setup(state, actor=stories.actor_in(customer.environment))

        assert PaymentMethod.objects.get().status == "pending"

    def test_the_same_card_of_the_processor_is_not_saved_twice(self, api, customer):
        first = saved_card(api, customer)
        saving = save_card(api, customer)
        setup = PaymentMethodSetup.objects.get(payment_method_id=id_of(saving))
        state = SetupState(
            reference=setup.reference,
            status="succeeded",
            operation_id=setup.id,
            payment_method_id=setup.payment_method_id,
            environment_id=setup.environment_id,
            token=PaymentMethod.objects.get(id=first).reference,
        )

        record_setup(state, actor=stories.actor_in(customer.environment))

        assert read(api, id_of(saving))["status"] == "failed"
        assert read(api, first)["status"] == "active"


class TestReading:
    """One, many, and a customer's default."""

    def test_a_list_holds_the_active_ones_unless_asked_otherwise(self, api, customer, environment):
        other = create_customer(data={"email": "bob@post.example"}, actor=stories.actor_in(environment))
        active, others = saved_card(api, customer), saved_card(api, other)
        pending = id_of(save_card(api, customer))

        def ids(**query):
            return {row["payment_method_id"] for row in api.get("/v1/payment-methods", query).data}

        assert ids() == {active, others}
        assert ids(customer_id=customer.id) == {active}
        assert ids(status="pending") == {pending}
        assert ids(usage="on_session") == set()
        assert ids(type="card", usage="off_session") == {active, others}

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"status": "lost"}, "INVALID_PAYMENT_METHOD_STATUS"),
            ({"usage": "never"}, "INVALID_PAYMENT_METHOD_USAGE"),
            ({"type": "cash"}, "INVALID_PAYMENT_METHOD_TYPE"),
            ({"brand": "visa"}, "UNSUPPORTED_QUERY_PARAM"),
        ],
    )
    def test_a_wrong_filter_is_refused(self, api, query, code):
        assert api.get("/v1/payment-methods", query).code == code

    def test_a_list_takes_as_many_statements_for_many(self, api, customer):
        api.get("/v1/payment-methods")
        for _ in range(3):
            saved_card(api, customer)

        with CaptureQueriesContext(
            connection,
        ) as statements:
            assert len(api.get("/v1/payment-methods").data) == 3

        assert len([each for each in statements if "payments_paymentmethod" in each["sql"]]) == 1
        assert len(statements) <= STATEMENTS_OF_A_LIST

    def test_its_customer_is_shown_when_asked_for(self, api, customer):
        method = saved_card(api, customer)

        shown = api.get(f"/v1/payment-methods/{method}", {"expand": "customer"}).data

        assert shown["customer"]["email"] == "ada@post.example"
        assert "customer" not in read(api, method)
        assert api.get(f"/v1/payment-methods/{method}", {"expand": "order"}).code == "INVALID_EXPAND"

    def test_another_merchants_is_not_there(self, api, other_api, customer):
        method = saved_card(api, customer)
        before = PaymentMethod.objects.values().get()

        answers = [
            other_api.get(f"/v1/payment-methods/{method}"),
            prefer(other_api, method),
            remove(other_api, method),
            save_card(other_api, customer),
        ]

        assert {(answer.status_code, answer.code) for answer in answers} == {(404, "RESOURCE_NOT_FOUND")}
        assert other_api.get("/v1/payment-methods").data == []
        assert PaymentMethod.objects.values().get() == before
        customer.refresh_from_db()
        assert customer.default_payment_method_id == ""

    def test_scopes(self, environment, customer, api):
        method = saved_card(api, customer)
        reader = client_of(environment, scopes=["payments.payment_methods.read"])
        stranger = client_of(environment, scopes=["commerce.orders.write"])

        assert reader.get(f"/v1/payment-methods/{method}").status_code == 200
        assert stranger.get("/v1/payment-methods").code == "INSUFFICIENT_SCOPE"
        for refused in (save_card(reader, customer), prefer(reader, method), remove(reader, method)):
            assert (refused.status_code, refused.code) == (403, "INSUFFICIENT_SCOPE")


class TestDefault:
    """Which one a customer prefers."""

    def test_the_customer_shows_its_default(self, api, customer):
        method = saved_card(api, customer)
        before = api.get(f"/v1/customers/{customer.id}").data
        assert "default_payment_method_id" not in before

        preferred = prefer(api, method)

        assert (preferred.status_code, preferred.data["payment_method_id"]) == (200, method)
        shown = api.get(f"/v1/customers/{customer.id}").data
        assert (shown["default_payment_method_id"], shown["version"]) == (method, before["version"] + 1)
        assert "default_payment_method" not in shown
        expanded = api.get(f"/v1/customers/{customer.id}", {"expand": "default_payment_method"}).data
        assert expanded["default_payment_method"]["card"]["last4"] == "4242"
        assert (expanded["default_payment_method"]["status"], expanded["default_payment_method"]["type"]) == (
            "active",
            "card",
        )

    def test_a_customer_without_one_expands_to_nothing(self, api, customer):
        shown = api.get(f"/v1/customers/{customer.id}", {"expand": "default_payment_method"}).data

        assert shown["default_payment_method"] is None

    def test_setting_it_again_changes_nothing(self, api, customer):
        method = saved_card(api, customer)
        prefer(api, method)
        version = api.get(f"/v1/customers/{customer.id}").data["version"]

        prefer(api, method)

        assert api.get(f"/v1/customers/{customer.id}").data["version"] == version
        assert told_of(method).count("payment_method.preferred") == 1

    def test_one_that_is_not_active_cannot_be_it(self, api, customer):
        for method in (id_of(save_card(api, customer)), saved_card(api, customer)):
            if read(api, method)["status"] == "active":
                remove(api, method)

            refused = prefer(api, method)

            assert (refused.status_code, refused.code) == (409, "PAYMENT_METHOD_NOT_ACTIVE")
        assert "default_payment_method_id" not in api.get(f"/v1/customers/{customer.id}").data

    def test_one_that_the_buyer_saved_for_their_own_checkouts_cannot_be_it(self, api, customer):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(usage="on_session")

        refused = prefer(api, method)

        assert (refused.status_code, refused.code) == (409, "PAYMENT_METHOD_ON_SESSION_ONLY")
        assert "default_payment_method_id" not in api.get(f"/v1/customers/{customer.id}").data


class TestBuyers:
    """What the buyer in a checkout sees: the cards of the customer that the checkout acts for, if it acts for one."""

    @pytest.fixture
    def checkout(self, api, customer):
        """Headers of a buyer of the customer's order, by whether the checkout acts for the customer."""
        order = stories.open_order(customer.environment, customer_id=customer.id)
        wanted = {"order_id": order.id, "customer_collection": {"customer_id": customer.id}}
        made = api.post("/v1/checkout-sessions", wanted)
        assert made.status_code == 201, made.content
        session = CheckoutSession.objects.get(id=made.data["checkout_session"]["checkout_session_id"])

        def headers(acts_for_customer: bool) -> dict:
            secret = new_credential(session, customer_id=session.customer_id if acts_for_customer else None)
            return {
                "X-Checkout-Session-ID": session.id,
                "X-Checkout-Session-Secret": secret,
                "Authorization": None,
            }

        headers.order = order
        return headers

    def test_only_a_checkout_that_acts_for_the_customer_sees_its_cards(self, api, customer, environment, checkout):
        other = create_customer(data={"email": "bob@post.example"}, actor=stories.actor_in(environment))
        mine, _others = saved_card(api, customer), saved_card(api, other)

        acting, anonymous = checkout(True), checkout(False)

        assert [row["payment_method_id"] for row in api.get("/v1/payment-methods", headers=acting).data] == [mine]
        assert api.get(f"/v1/payment-methods/{mine}", headers=acting).data["card"]["last4"] == "4242"
        assert api.get("/v1/payment-methods", {"customer_id": other.id}, headers=acting).data == []
        assert api.get("/v1/payment-methods", headers=anonymous).data == []
        assert api.get(f"/v1/payment-methods/{mine}", headers=anonymous).status_code == 404
        assert api.get(f"/v1/payment-methods/{_others}", headers=acting).status_code == 404

    def test_only_active_ones(self, api, customer, checkout):
        method = saved_card(api, customer)
        remove(api, method)
        acting = checkout(True)

        assert api.get("/v1/payment-methods", {"status": "active"}, headers=acting).data == []
        refused = api.get("/v1/payment-methods", {"status": "removed"}, headers=acting)
        assert (refused.status_code, refused.code) == (400, "CHECKOUT_PAYMENT_METHOD_STATUS_UNSUPPORTED")
        assert api.get(f"/v1/payment-methods/{method}", headers=acting).status_code == 404

    def test_a_buyer_changes_none(self, api, customer, checkout):
        method = saved_card(api, customer)
        acting = checkout(True)

        for answer in (
            save_card(api, customer, headers=acting),
            prefer(api, method, headers=acting),
            remove(api, method, headers=acting),
        ):
            assert (answer.status_code, answer.code) == (403, "CHECKOUT_SESSION_SCOPE_MISMATCH")
        assert read(api, method)["status"] == "active"

    @pytest.mark.parametrize(("acts", "status"), [(True, 200), (False, 409)])
    def test_a_buyer_pays_with_it_if_the_checkout_acts_for_the_customer(self, api, customer, checkout, acts, status):
        method = saved_card(api, customer)
        body = {"action": "pay", "payment_source": {"payment_method_id": method}}

        paid = api.post(f"/v1/orders/{checkout.order.id}/pay", body, headers=checkout(acts))

        assert paid.status_code == status
        assert paid.code == (None if acts else "PAYMENT_SOURCE_NOT_ALLOWED")
        assert_books(checkout.order, paid=10_000 if acts else 0)

    def test_a_buyer_reads_the_payments_of_its_own_order_alone(self, api, customer, checkout):
        body = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
        anonymous = checkout(False)
        api.post(f"/v1/orders/{checkout.order.id}/pay", body, headers=anonymous)
        leg = checkout.order.payment_intents.get()
        leg.metadata = {"shelf": "3"}
        leg.save()
        other = stories.paid_order(customer.environment).payment_intents.get()
        alone = api.post(
            "/v1/payment-intents", {"amount_money": {"amount": 100, "currency": "EUR"}, "payment_options": ["card"]}
        ).data["payment_intent"]["payment_intent_id"]

        shown = api.get(f"/v1/payment-intents/{leg.id}", headers=anonymous)

        assert (shown.status_code, shown.data["status"]) == (200, "succeeded")
        assert "metadata" not in shown.data
        assert api.get(f"/v1/payment-intents/{leg.id}").data["metadata"] == {"shelf": "3"}
        for foreign in (other.id, alone):
            assert api.get(f"/v1/payment-intents/{foreign}", headers=anonymous).status_code == 404
        assert api.get("/v1/payment-intents", headers=anonymous).code == "CHECKOUT_SESSION_SCOPE_MISMATCH"


class TestRemoving:
    """Letting go of a card, here first and then at the processor."""

    def test_it_is_forgotten_at_the_processor_afterwards(self, api, customer):
        method = saved_card(api, customer)
        token = PaymentMethod.objects.get().reference
        assert SandboxToken.objects.filter(token=token).exists()

        with settled():
            removed = remove(api, method)

        assert (removed.status_code, removed.data) == (200, {"success": True})
        assert read(api, method)["status"] == "removed"
        assert not SandboxToken.objects.filter(token=token).exists()
        assert PaymentMethod.objects.get().detach_at is None
        assert told_of(method)[-1] == "payment_method.removed"
        assert Event.objects.get(type="payment_method.removed").data == {"customer_id": customer.id}

    def test_the_customer_has_no_default_any_more(self, api, customer):
        method, other = saved_card(api, customer), saved_card(api, customer)
        prefer(api, method)

        remove(api, other)
        assert api.get(f"/v1/customers/{customer.id}").data["default_payment_method_id"] == method
        remove(api, method)

        assert "default_payment_method_id" not in api.get(f"/v1/customers/{customer.id}").data

    def test_removing_it_again_changes_nothing(self, api, customer):
        method = saved_card(api, customer)
        remove(api, method)
        before = PaymentMethod.objects.values().get()

        assert remove(api, method).status_code == 200

        assert PaymentMethod.objects.values().get() == before
        assert told_of(method).count("payment_method.removed") == 1

    @pytest.mark.parametrize("fault", ["unreachable", "never_executed", "lose_answer"])
    def test_a_processor_that_does_not_answer_is_told_again_by_the_sweep(self, api, customer, fault):
        method = saved_card(api, customer)
        token = PaymentMethod.objects.get().reference
        faults.plan(customer.environment_id, on="setup", fault=fault)
        with settled():
            remove(api, method)
        assert PaymentMethod.objects.get().detach_at

        sweep(at=later(minutes=5))

        assert PaymentMethod.objects.get().detach_at is None
        assert not SandboxToken.objects.filter(token=token).exists()

    def test_with_the_task_lost_the_sweep_does_it(self, api, customer):
        method = saved_card(api, customer)
        with collecting():
            remove(api, method)
        assert SandboxToken.objects.exists()

        sweep(at=later(minutes=1))

        assert not SandboxToken.objects.exists()

    def test_one_that_is_removed_before_the_buyer_hands_in_a_card_stays_removed(self, api, customer):
        saving = save_card(api, customer)
        remove(api, id_of(saving))

        hand_in(api, saving)
        deliver_notices(customer.environment)

        assert read(api, id_of(saving))["status"] == "removed"
        assert not SandboxToken.objects.exists()
        assert told_of(id_of(saving)) == ["payment_method.created", "payment_method.removed"]


class TestRunningOut:
    """A card's last month ends."""

    def test_it_expires_when_its_last_month_is_over(self, api, customer):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(exp_month=2, exp_year=2031)
        prefer(api, method)

        sweep(at=datetime(2031, 2, 28, 23, 59, tzinfo=UTC))
        assert read(api, method)["status"] == "active"
        sweep(at=datetime(2031, 3, 1, tzinfo=UTC))

        assert read(api, method)["status"] == "expired"
        assert told_of(method)[-1] == "payment_method.expired"
        assert api.get(f"/v1/customers/{customer.id}").data["default_payment_method_id"] == method

    def test_an_expired_one_is_no_default_and_can_be_removed(self, api, customer):
        method = saved_card(api, customer)
        PaymentMethod.objects.update(exp_month=1, exp_year=2031)
        sweep(at=datetime(2031, 2, 1, tzinfo=UTC))

        assert prefer(api, method).code == "PAYMENT_METHOD_NOT_ACTIVE"
        with settled():
            assert remove(api, method).status_code == 200
        assert not SandboxToken.objects.exists()


class TestAtOnce:
    """Two at once, on real PostgreSQL."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture(autouse=True)
    def tasks(self):
        with collecting() as collected:
            yield collected

    def test_one_key_saves_one_card(self, environment, customer):
        clients = [client_of(environment) for _ in range(4)]
        for wish in range(10):
            calls = [partial(save_card, client, customer, key=f"wish {wish}") for client in clients]

            kept = ended(at_once(*calls), "IDEMPOTENCY_KEY_IN_PROGRESS")

            assert len({id_of(answer) for answer in kept}) == 1
            assert PaymentMethod.objects.count() == SandboxSetup.objects.count() == wish + 1

    def test_a_repeat_after_the_record_of_the_key_is_gone_finds_the_same_card(self, environment, customer):
        """The row itself carries the key, so that two repeats which find no record of it still begin one setup."""
        from flint.actors import Command
        from payments.services import save_method

        for wish in range(20):
            actor = stories.actor_in(environment).with_command(Command(key=f"wish {wish}", digest="same"))
            call = partial(save_method, data={"customer_id": customer.id}, actor=actor)

            kept = ended(at_once(call, call))

            assert len({saved.method.id for saved in kept}) == 1
            assert SandboxSetup.objects.count() == wish + 1

    def test_preferring_one_while_it_is_removed_leaves_no_removed_default(self, environment, customer, api):
        for _ in range(20):
            method = saved_card(api, customer)

            results = at_once(
                partial(prefer, client_of(environment), method), partial(remove, client_of(environment), method)
            )

            ended(results, "PAYMENT_METHOD_NOT_ACTIVE")
            customer.refresh_from_db()
            assert customer.default_payment_method_id == ""
            assert read(api, method)["status"] == "removed"

    def test_a_notice_and_the_sweep_save_it_once(self, environment, customer, api):
        from payments.services.methods.sweeping import ask_about_setup

        actor = stories.actor_in(environment)
        for _ in range(20):
            saving = save_card(api, customer)
            hand_in(api, saving)
            setup = PaymentMethodSetup.objects.get(payment_method_id=id_of(saving))

            ended(at_once(*[partial(ask_about_setup, setup.id, actor=actor)] * 3))

            assert told_of(id_of(saving)) == ["payment_method.created", "payment_method.saved"]
