"""Payments without an order: a hidden order keeps the books, and all that holds for a leg holds for them."""

import pytest

from flint.celery import collecting
from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.stories import deliver_notices, eur, settled, sweep, time_passes, wire
from orders.models import Order
from orders.services import create_customer
from payments.models import PaymentIntent
from payments.processors.sandbox import clock, dashboard
from payments.tests.acts import (
    DECLINED,
    THREE_D_SECURE,
    at_once,
    at_processor,
    charged,
    goes_through_after_all,
    going_wrong,
    kinds_of,
    later,
    nothing_moves,
    reference_of,
    stage,
)

STATEMENTS_OF_A_LIST = 2
STATEMENTS_OF_A_READ = 3

VISA = {"payment_source_token": "pm_card_visa"}
CARD = {"payment_options": ["card"]}


def create(api, amount=10_000, **data):
    """Create a payment intent and return its id."""
    made = api.post("/v1/payment-intents", {"amount_money": wire(eur(amount)), **CARD, **data})
    assert made.status_code == 201, made.content
    return made.data["payment_intent"]["payment_intent_id"]


def act(api, intent, verb, body=None, **options):
    return api.post(f"/v1/payment-intents/{intent}/{verb}", body, **options)


def confirm(api, intent, body=VISA, **options):
    return act(api, intent, "confirm", body, **options)


def order_of(intent) -> Order:
    """The hidden order behind a payment intent."""
    return Order.objects.get(payment_intents__id=intent)


def held(api, amount=10_000, **data):
    """A payment intent whose amount is held."""
    intent = create(api, amount, capture_method="manual", **data)
    assert confirm(api, intent).data["status"] == "requires_capture"
    return intent


def authenticate(api, answer, outcome="pass"):
    secret = answer.data["current_payment_action"]["client_action"]["stripe"]["payment_intent"]["client_secret"]
    assert api.http.post(f"/sandbox/3ds/{secret}/complete", {"outcome": outcome}).status_code == 200


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "ada@post.example"}, actor=stories.actor_in(environment))


class TestCreating:
    """What is made, and what is refused."""

    def test_it_waits_for_a_payment_method(self, api, customer):
        made = api.post(
            "/v1/payment-intents",
            {
                "amount_money": wire(eur(12_000)),
                "tip_money": wire(eur(2_000)),
                "payment_options": ["card", "apple_pay"],
                "customer_id": customer.id,
                "external_reference_id": "till 4",
                "metadata": {"till": "4"},
                "receipt_email": "ada@post.example",
                "payment_return_url": "https://shop.example/back",
            },
        )

        intent = made.data["payment_intent"]
        assert made.status_code == 201
        assert (intent["status"], intent["amount_money"], intent["tip_money"]) == (
            "requires_payment_method",
            wire(eur(12_000)),
            wire(eur(2_000)),
        )
        assert (intent["origin"], intent["payment_flow"], intent["last_payment_error"]) == ("api", "api", None)
        assert (intent["customer_id"], intent["receipt_email"]) == (customer.id, "ada@post.example")
        assert "order_id" not in intent
        assert "current_payment_action" not in intent
        stripe = made.data["payment_collection"]["stripe"]
        assert stripe["return_url"] == "https://shop.example/back"
        elements = stripe["elements"]
        assert (elements["next_step"], elements["submit_to"]) == ("create_confirmation_token", "confirm_payment_intent")
        assert (elements["payment_method_types"], elements["digital_wallets"]) == (["card"], ["apple_pay"])
        assert elements["amount_money"] == wire(eur(12_000))
        assert "secret" not in made.content.decode()
        assert_books(order_of(intent["payment_intent_id"]), total=12_000, tip_amount=2_000, paid=0, outstanding=12_000)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"amount_money": wire(eur(0))}, "AMOUNT_TOO_SMALL"),
            ({"amount_money": wire(eur(1_000_000_000_000))}, "AMOUNT_TOO_LARGE"),
            ({"amount_money": {"amount": 100, "currency": "XXZ"}}, "INVALID_CURRENCY"),
            ({"amount_money": {"amount": -1, "currency": "EUR"}}, "INVALID_AMOUNT"),
            ({"amount_money": None}, "NULL_NOT_ALLOWED"),
            ({"tip_money": wire(eur(10_001))}, "INVALID_TIP_AMOUNT"),
            ({"tip_money": {"amount": 100, "currency": "USD"}}, "CURRENCY_MISMATCH"),
            ({"payment_options": []}, "PAYMENT_OPTIONS_REQUIRED"),
            ({"payment_options": ["cash"]}, "INVALID_PAYMENT_OPTIONS"),
            ({"payment_options": "card"}, "INVALID_PAYMENT_OPTIONS"),
            ({"payment_options": ["affirm"]}, "PAYMENT_RETURN_URL_REQUIRED"),
            ({"payment_options": ["ach_debit"]}, "TRANSACTION_PURPOSE_REQUIRED"),
            ({"transaction_purpose": "goods"}, "TRANSACTION_PURPOSE_NOT_APPLICABLE"),
            ({"payment_options": ["ach_debit"], "transaction_purpose": "fun"}, "INVALID_TRANSACTION_PURPOSE"),
            (
                {"payment_options": ["ach_debit"], "transaction_purpose": "goods", "capture_method": "manual"},
                "PAYMENT_CAPTURE_METHOD_NOT_ALLOWED",
            ),
            ({"capture_method": "later"}, "INVALID_CAPTURE_METHOD"),
            ({"receipt_email": "nobody"}, "INVALID_EMAIL_FORMAT"),
            ({"customer_id": "cus_01J00000000000000000000000"}, "RESOURCE_NOT_FOUND"),
            ({"order_id": "ord_01J00000000000000000000000"}, "UNKNOWN_FIELD"),
        ],
    )
    def test_a_refused_one_leaves_nothing_behind(self, api, changes, code):
        body = {"amount_money": wire(eur(10_000)), **CARD, **changes}

        refused = api.post("/v1/payment-intents", body)

        assert (refused.code, refused.status_code) == (code, 404 if code == "RESOURCE_NOT_FOUND" else 400)
        assert not Order.objects.exists()
        assert not PaymentIntent.objects.exists()

    def test_the_options_are_required(self, api):
        assert api.post("/v1/payment-intents", {"amount_money": wire(eur(1))}).code == "PAYMENT_OPTIONS_REQUIRED"

    def test_a_tip_above_its_ceiling_is_refused_by_its_own_name(self, api):
        dollars = {"amount": 300_000, "currency": "USD"}
        body = {"amount_money": dollars, "tip_money": {"amount": 299_999, "currency": "USD"}, **CARD}

        refused = api.post("/v1/payment-intents", body)

        assert (refused.code, refused.error["param"]) == ("INVALID_TIP_AMOUNT", "tip_money")

    def test_without_a_processor_there_is_nothing_to_create(self, api, environment):
        Environment.objects.filter(id=environment.id).update(processor="")

        refused = api.post("/v1/payment-intents", {"amount_money": wire(eur(1)), **CARD})

        assert (refused.status_code, refused.code) == (409, "PROCESSOR_NOT_CONFIGURED")

    def test_the_same_key_makes_one(self, api):
        body = {"amount_money": wire(eur(1_000)), **CARD}

        first = api.post("/v1/payment-intents", body, key="one wish")
        again = api.post("/v1/payment-intents", body, key="one wish")

        assert again.data == first.data
        assert PaymentIntent.objects.count() == 1


class TestPaying:
    """Confirmed, and what follows."""

    def test_an_approved_card_pays(self, api):
        intent = create(api, tip_money=wire(eur(1_000)))

        paid = confirm(api, intent)

        assert (paid.status_code, paid.data["status"]) == (200, "succeeded")
        assert paid.data["captured_money"] == wire(eur(10_000))
        assert paid.data["payment_source"]["card"] == {"brand": "visa", "last4": "4242"}
        order = assert_books(order_of(intent), paid=10_000, balance=0, payment_status="paid", settled_tip_amount=1_000)
        assert charged(order) == [10_000]
        assert "payment_collection" not in api.get(f"/v1/payment-intents/{intent}").data

    def test_a_confirmation_token_pays_as_well(self, api):
        intent = create(api)

        assert confirm(api, intent, {"confirmation_token": "ctoken_card_visa"}).data["status"] == "succeeded"

    def test_a_decline_is_an_answer_and_the_next_card_may_pay(self, api):
        intent = create(api)

        declined = confirm(api, intent, {"payment_source_token": DECLINED})

        assert (declined.status_code, declined.data["status"]) == (200, "requires_payment_method")
        assert declined.data["last_payment_error"]["code"] == "card_declined"
        assert_books(order_of(intent), paid=0, outstanding=10_000, active_attempt_id="")
        assert "payment_collection" in api.get(f"/v1/payment-intents/{intent}").data

        paid = confirm(api, intent)

        assert (paid.data["status"], paid.data["last_payment_error"]) == ("succeeded", None)
        assert charged(order_of(intent)) == [10_000]

    @pytest.mark.parametrize(("outcome", "status"), [("pass", "succeeded"), ("fail", "requires_payment_method")])
    @pytest.mark.parametrize("told", [False, True])
    def test_after_the_buyers_step_it_is_confirmed_without_a_credential(self, api, environment, outcome, status, told):
        intent = create(api)

        asked = confirm(api, intent, {"payment_source_token": THREE_D_SECURE})

        assert asked.data["status"] == "requires_action"
        action = asked.data["current_payment_action"]
        assert action["subject"] == {"payment_intent": {"payment_intent_id": intent}}
        assert api.get(f"/v1/payment-intents/{intent}").data["current_payment_action"] == action
        assert "current_payment_action" not in api.get("/v1/payment-intents").data[0]
        authenticate(api, asked, outcome)
        if told:
            deliver_notices(environment)
        done = confirm(api, intent, {})

        assert done.data["status"] == status
        assert "current_payment_action" not in done.data
        code = done.data["last_payment_error"] and done.data["last_payment_error"]["code"]
        assert code == (None if outcome == "pass" else "authentication_required")
        assert_books(order_of(intent), paid=10_000 if outcome == "pass" else 0)

    def test_a_bank_debit_settles_later(self, api, environment):
        intent = create(api, payment_options=["ach_debit"], transaction_purpose="goods")

        assert confirm(api, intent, {"payment_source_token": "pm_usBankAccount_success"}).data["status"] == "processing"
        refused = act(api, intent, "cancel")
        time_passes(environment, later(minutes=1))

        assert (refused.status_code, refused.code) == (409, "PAYMENT_ATTEMPT_STILL_PROCESSING")
        assert "order_payment_attempt_id" not in refused.error
        assert api.get(f"/v1/payment-intents/{intent}").data["status"] == "succeeded"

    def test_a_lost_answer_is_asked_for(self, api):
        intent = create(api)
        with going_wrong(order_of(intent), on="confirm", fault="lose_answer"):
            assert confirm(api, intent).data["status"] == "processing"

        assert confirm(api, intent).code == "PAYMENT_ALREADY_SUCCEEDED"

        assert_books(order_of(intent), paid=10_000)
        assert charged(order_of(intent)) == [10_000]

    def test_the_sweep_settles_what_nobody_asks_about(self, api):
        intent = create(api)
        with going_wrong(order_of(intent), on="confirm", fault="lose_answer"):
            confirm(api, intent)

        sweep(at=later(minutes=1))

        assert api.get(f"/v1/payment-intents/{intent}").data["status"] == "succeeded"

    def test_the_same_key_charges_once(self, api):
        intent = create(api)

        first = confirm(api, intent, key="one wish")
        again = confirm(api, intent, key="one wish")

        assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
        assert charged(order_of(intent)) == [10_000]

    @pytest.mark.parametrize(
        ("body", "code", "fields"),
        [
            ({}, "PAYMENT_SOURCE_REQUIRED", None),
            ({"payment_source_token": "card"}, "INVALID_PAYMENT_SOURCE", None),
            ({"confirmation_token": "pm_card_visa"}, "INVALID_PAYMENT_SOURCE", None),
            (
                {**VISA, "confirmation_token": "ctoken_card_visa"},
                "PAYMENT_SOURCE_CONFLICT",
                ["payment_source_token", "confirmation_token"],
            ),
            (
                {**VISA, "payment_method_id": "pm_01J00000000000000000000000"},
                "PAYMENT_SOURCE_CONFLICT",
                ["payment_source_token", "payment_method_id"],
            ),
            ({"token": "pm_card_visa"}, "UNKNOWN_FIELD", None),
        ],
    )
    def test_a_source_of_the_wrong_shape_moves_nothing(self, api, body, code, fields):
        intent = create(api)

        with nothing_moves(order_of(intent)):
            refused = confirm(api, intent, body)

        assert (refused.status_code, refused.code) == (400, code)
        assert refused.error.get("conflicting_fields") == fields

    @pytest.mark.parametrize(("device", "status"), [("0123456789abcdef" * 2, 200), ("0123", 400), ("A" * 32, 400)])
    def test_the_buyers_device_is_looked_at(self, api, device, status):
        intent = create(api)

        answer = confirm(api, intent, headers={"Flint-Buyer-Device": device})

        assert answer.status_code == status
        assert charged(order_of(intent)) == ([10_000] if status == 200 else [])

    def test_one_that_is_under_way_or_has_ended_is_not_paid_again(self, api):
        waiting, holding, done, canceled = create(api), held(api), create(api), create(api)
        confirm(api, waiting, {"payment_source_token": THREE_D_SECURE})
        confirm(api, done)
        act(api, canceled, "cancel")
        orders = [order_of(intent) for intent in (waiting, holding, done, canceled)]

        with nothing_moves(*orders):
            refused = [confirm(api, intent) for intent in (waiting, holding, done, canceled)]

        assert [answer.code for answer in refused] == [
            "PAYMENT_CONFIRM_IN_PROGRESS",
            "PAYMENT_ATTEMPT_REQUIRES_CAPTURE",
            "PAYMENT_ALREADY_SUCCEEDED",
            "PAYMENT_ALREADY_CANCELED",
        ]
        assert {answer.status_code for answer in refused} == {409}
        assert all("order_payment_attempt_id" not in answer.error for answer in refused)


class TestHolding:
    """Captured, canceled, or run out."""

    def test_a_part_is_captured_and_the_rest_let_go(self, api):
        intent = held(api)

        done = act(api, intent, "capture", {"amount_money": wire(eur(6_000))})

        assert (done.data["status"], done.data["captured_money"]) == ("succeeded", wire(eur(6_000)))
        assert done.data["released_money"] == wire(eur(4_000))
        assert_books(order_of(intent), paid=6_000, outstanding=4_000, active_attempt_id="")

    def test_a_hold_is_shown(self, api):
        shown = api.get(f"/v1/payment-intents/{held(api)}").data

        assert shown["capturable_money"] == wire(eur(10_000))
        assert shown["authorized_money"] == wire(eur(10_000))
        assert "authorization_expires_at" in shown
        assert "payment_collection" not in shown

    @pytest.mark.parametrize(
        ("money", "code"),
        [
            (eur(10_001), "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE"),
            (eur(0), "INVALID_CAPTURE_AMOUNT"),
            (stories.Money(1, "USD"), "CAPTURE_CURRENCY_MISMATCH"),
        ],
    )
    def test_a_wrong_amount_moves_nothing(self, api, money, code):
        intent = held(api)

        with nothing_moves(order_of(intent)):
            assert act(api, intent, "capture", {"amount_money": wire(money)}).code == code

    def test_a_canceled_hold_is_owed_no_longer(self, api):
        intent = held(api)

        done = act(api, intent, "cancel", {"cancellation_reason": "duplicate"})

        assert (done.data["status"], done.data["cancellation_reason"]) == ("canceled", "duplicate")
        order = assert_books(order_of(intent), paid=0, balance=0, credit=10_000, status="closed", active_attempt_id="")
        assert kinds_of(order)[-2:] == ["payment.authorization_canceled", "order.closed"]
        assert [effect.amount for effect in at_processor(order).of_kind("release")] == [10_000]

    def test_one_that_was_never_paid_is_canceled_here(self, api):
        intent = create(api)

        assert act(api, intent, "cancel").data["status"] == "canceled"

        assert_books(order_of(intent), paid=0, balance=0, credit=10_000, status="closed")
        for verb, code in [
            ("confirm", "PAYMENT_ALREADY_CANCELED"),
            ("cancel", "PAYMENT_ALREADY_CANCELED"),
            ("capture", "INVALID_STATUS_FOR_CAPTURE"),
        ]:
            with nothing_moves(order_of(intent)):
                assert act(api, intent, verb, VISA if verb == "confirm" else {}).code == code

    def test_one_that_waits_for_the_buyer_is_canceled(self, api):
        intent = create(api)
        asked = confirm(api, intent, {"payment_source_token": THREE_D_SECURE})

        assert act(api, intent, "cancel").data["status"] == "canceled"

        authenticate(api, asked)
        assert confirm(api, intent, {}).code == "PAYMENT_ALREADY_CANCELED"
        assert_books(order_of(intent), paid=0, balance=0)

    def test_a_paid_one_is_refunded_and_not_canceled(self, api):
        intent = create(api)
        confirm(api, intent)

        with nothing_moves(order_of(intent)):
            refused = act(api, intent, "cancel")

        assert (refused.status_code, refused.code) == (409, "CANNOT_CANCEL_SUCCEEDED_PAYMENT")

    def test_a_hold_that_runs_out_ends_expired(self, api, environment):
        intent = held(api)

        time_passes(environment, later(days=8))

        shown = api.get(f"/v1/payment-intents/{intent}").data
        assert (shown["status"], shown["cancellation_reason"]) == ("expired", "authorization_expired")
        assert_books(order_of(intent), paid=0, balance=0, credit=10_000, status="closed", active_attempt_id="")
        codes = [
            act(api, intent, verb, body).code for verb, body in [("confirm", VISA), ("cancel", {}), ("confirm", {})]
        ]
        assert codes == ["PAYMENT_EXPIRED", "CANNOT_CANCEL_EXPIRED_PAYMENT", "PAYMENT_EXPIRED"]

    def test_a_hold_that_has_run_out_unheard_is_not_captured(self, api, environment):
        intent = held(api)
        with collecting():
            clock.advance(later(days=8), environment.id)

        assert act(api, intent, "capture").code == "PAYMENT_AUTHORIZATION_EXPIRED"

        assert api.get(f"/v1/payment-intents/{intent}").data["status"] == "expired"

    def test_money_that_comes_in_after_the_cancellation_is_kept_to_be_refunded(self, api, environment):
        intent = create(api, tip_money=wire(eur(1_000)))
        confirm(api, intent, {"payment_source_token": DECLINED})
        assert act(api, intent, "cancel").data["status"] == "canceled"
        order = order_of(intent)

        goes_through_after_all(order)
        deliver_notices(environment)

        assert api.get(f"/v1/payment-intents/{intent}").data["status"] == "succeeded"
        assert_books(order, paid=10_000, credit=10_000, balance=-10_000, status="closed")
        with settled():
            assert api.post("/v1/refunds", {"payment_intent_id": intent}).status_code == 201
        assert_books(order, paid=10_000, refunded=10_000, balance=0)

    def test_a_capture_in_the_processors_dashboard_is_learnt(self, api, environment):
        intent = held(api)
        order = order_of(intent)
        dashboard.capture(environment_id=environment.id, reference=reference_of(order), money=eur(10_000))

        deliver_notices(environment)

        assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")


class TestChanging:
    """A standalone payment intent follows its merchant until it is being paid."""

    def test_amount_tip_customer_and_words_change_with_the_hidden_order(self, api, customer):
        intent = create(api, metadata={"a": "1", "b": "2"})

        changed = api.patch(
            f"/v1/payment-intents/{intent}",
            {
                "amount_money": wire(eur(15_000)),
                "tip_money": wire(eur(3_000)),
                "customer_id": customer.id,
                "external_reference_id": "table 9",
                "receipt_email": "bob@post.example",
                "metadata": {"a": None, "c": "3"},
            },
        )

        assert changed.status_code == 200
        assert (changed.data["amount_money"], changed.data["tip_money"]) == (wire(eur(15_000)), wire(eur(3_000)))
        assert (changed.data["customer_id"], changed.data["metadata"]) == (customer.id, {"b": "2", "c": "3"})
        assert changed.data == {
            name: value
            for name, value in api.get(f"/v1/payment-intents/{intent}").data.items()
            if name != "payment_collection"
        }
        order = assert_books(order_of(intent), total=15_000, tip_amount=3_000, outstanding=15_000)
        assert (order.customer_id, order.contact_email) == (customer.id, "bob@post.example")
        confirm(api, intent)
        assert_books(order, paid=15_000, settled_tip_amount=3_000, balance=0)

    def test_d026_a_declined_one_charges_what_it_was_corrected_to(self, api):
        intent = create(api, 5_500)
        confirm(api, intent, {"payment_source_token": DECLINED})

        assert api.patch(f"/v1/payment-intents/{intent}", {"amount_money": wire(eur(4_000))}).status_code == 200
        confirm(api, intent)

        assert charged(order_of(intent)) == [4_000]
        assert_books(order_of(intent), total=4_000, paid=4_000, balance=0, payment_status="paid")

    def test_a_tip_of_nothing_clears_it(self, api):
        intent = create(api, tip_money=wire(eur(500)))

        api.patch(f"/v1/payment-intents/{intent}", {"tip_money": wire(eur(0))})

        assert_books(order_of(intent), total=10_000, tip_amount=0)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "NO_FIELDS_TO_UPDATE"),
            ({"amount_money": {"amount": 5, "currency": "USD"}}, "CURRENCY_MISMATCH"),
            ({"amount_money": wire(eur(499))}, "INVALID_TIP_AMOUNT"),
            ({"tip_money": wire(eur(10_001))}, "INVALID_TIP_AMOUNT"),
            ({"amount_money": wire(eur(0))}, "AMOUNT_TOO_SMALL"),
            ({"customer_id": "cus_01J00000000000000000000000"}, "RESOURCE_NOT_FOUND"),
            ({"capture_method": "manual"}, "UNKNOWN_FIELD"),
        ],
    )
    def test_a_refused_change_moves_nothing(self, api, body, code):
        intent = create(api, tip_money=wire(eur(500)))

        with nothing_moves(order_of(intent)):
            assert api.patch(f"/v1/payment-intents/{intent}", body).code == code

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"amount_money": wire(eur(1))}, "AMOUNT_NOT_UPDATABLE"),
            ({"tip_money": wire(eur(1))}, "AMOUNT_NOT_UPDATABLE"),
            ({"customer_id": "cus_01J00000000000000000000000"}, "CUSTOMER_NOT_UPDATABLE"),
        ],
    )
    def test_what_is_being_paid_keeps_amount_and_customer(self, api, body, code):
        intent = held(api)

        with nothing_moves(order_of(intent)):
            refused = api.patch(f"/v1/payment-intents/{intent}", body)

        assert (refused.status_code, refused.code) == (409, code)
        assert api.patch(f"/v1/payment-intents/{intent}", {"metadata": {"note": "kept"}}).status_code == 200

    def test_what_has_ended_keeps_everything(self, api):
        paid, canceled = create(api), create(api)
        confirm(api, paid)
        act(api, canceled, "cancel")

        for intent in (paid, canceled):
            with nothing_moves(order_of(intent)):
                refused = api.patch(f"/v1/payment-intents/{intent}", {"metadata": {"note": "late"}})
            assert (refused.status_code, refused.code) == (409, "PAYMENT_INTENT_CANNOT_BE_UPDATED")

    def test_a_leg_of_an_order_keeps_what_is_the_orders(self, api, environment, customer):
        order = stories.open_order(environment)
        leg = stage(api, order, 4_000)

        with nothing_moves(order):
            codes = [
                api.patch(f"/v1/payment-intents/{leg}", body).code
                for body in (
                    {"amount_money": wire(eur(1))},
                    {"customer_id": customer.id},
                    {"receipt_email": "ada@post.example"},
                )
            ]

        assert codes == ["AMOUNT_NOT_UPDATABLE", "CUSTOMER_NOT_UPDATABLE", "RECEIPT_EMAIL_NOT_UPDATABLE"]
        assert api.patch(f"/v1/payment-intents/{leg}", {"external_reference_id": "x"}).status_code == 200
        assert_books(order, total=10_000)


class TestOfOrders:
    """The payment intents of orders are read here and paid there."""

    def test_one_is_read_with_its_order(self, api, environment, customer):
        order = stories.open_order(environment, customer_id=customer.id)
        leg = stage(api, order)

        plain = api.get(f"/v1/payment-intents/{leg}").data
        shown = api.get(f"/v1/payment-intents/{leg}", {"expand": ["customer", "order"]}).data

        assert plain["order_id"] == order.id
        assert plain["payment_collection"]["stripe"]["elements"]["submit_to"] == "pay_order"
        assert "order" not in plain
        assert (shown["order"]["order_id"], shown["customer"]["email"]) == (order.id, "ada@post.example")

    def test_a_standalone_one_has_no_order_to_expand(self, api):
        shown = api.get(f"/v1/payment-intents/{create(api)}", {"expand": "customer,order"}).data

        assert (shown["order"], shown["customer"]) == (None, None)

    @pytest.mark.parametrize("verb", ["confirm", "capture", "cancel"])
    def test_the_order_is_the_way_to_move_one(self, api, environment, verb):
        order = stories.held_order(environment)
        leg = order.payment_intents.get()

        with nothing_moves(order):
            refused = [act(api, leg.id, verb, body) for body in ({}, *([VISA] if verb == "confirm" else []))]

        assert {(answer.status_code, answer.code) for answer in refused} == {(409, "ORDER_PAYMENT_FLOW_REQUIRED")}


class TestHidden:
    """The order behind a payment is nobody's business but the books'."""

    def test_no_route_of_orders_finds_it(self, api):
        intent = held(api)
        order = order_of(intent)
        attempt = order.payment_attempts.get()
        line = {"name": "Tea", "unit_price_money": wire(eur(100))}
        base = f"/v1/orders/{order.id}"
        calls = [
            ("GET", base, None),
            ("PATCH", base, {"buyer_note": "Hello"}),
            ("POST", f"{base}/close", {}),
            ("POST", f"{base}/line-items", {"line_items": [line]}),
            ("PATCH", f"{base}/line-items/{order.line_items.get().id}", {"name": "Tea"}),
            ("DELETE", f"{base}/line-items/{order.line_items.get().id}", None),
            ("POST", f"{base}/charges", {"charge": {"name": "X", "type": "other", "amount_money": wire(eur(1))}}),
            ("POST", f"{base}/discounts", {"manual": {"name": "Gift", "amount_money": wire(eur(10))}}),
            ("POST", f"{base}/discounts/reprice", {}),
            ("GET", f"{base}/activities", None),
            ("POST", f"{base}/pay", {"action": "pay", "payment_source": {"token": "pm_card_visa"}}),
            ("POST", f"{base}/pay", {"action": "resume", "order_payment_attempt_id": attempt.id}),
            ("POST", f"{base}/payment-intents", {}),
            ("POST", f"{base}/payment-intents/{intent}/capture", {}),
            ("POST", f"{base}/payment-intents/{intent}/cancel", {}),
            ("GET", f"{base}/payment-attempts", None),
            ("POST", f"{base}/payment-attempts/{attempt.id}/cancel", {}),
            ("POST", "/v1/refunds", {"order_id": order.id}),
        ]

        with nothing_moves(order):
            answers = [(call, api.call(call[0], call[1], body=call[2])) for call in calls]

        assert [call for call, answer in answers if (answer.status_code, answer.code) != (404, "ORDER_NOT_FOUND")] == []
        assert api.get(f"{base}/payment-attempts/{attempt.id}").status_code == 404
        assert api.get("/v1/orders").data == []
        assert api.get("/v1/payment-intents", {"order_id": order.id}).data == []

    def test_its_money_is_refunded_through_the_payment(self, api, environment):
        intent = create(api, tip_money=wire(eur(1_000)))
        confirm(api, intent)

        with settled():
            refund = api.post("/v1/refunds", {"payment_intent_id": intent, "amount_money": wire(eur(4_000))})

        assert refund.status_code == 201
        assert "order_id" not in refund.data
        assert refund.data["line_item_allocations"] == []
        shown = api.get(f"/v1/payment-intents/{intent}").data
        assert (shown["refund_status"], shown["refunded_money"]) == ("partially_refunded", wire(eur(4_000)))
        with settled():
            api.post("/v1/refunds", {"payment_intent_id": intent})
        assert_books(order_of(intent), paid=10_000, refunded=10_000, refund_status="refunded")
        assert api.get(f"/v1/payment-intents/{intent}").data["refund_status"] == "refunded"

    def test_it_has_no_lines_or_charges_to_refund(self, api):
        intent = create(api)
        confirm(api, intent)
        order = order_of(intent)
        line = {"order_line_item_id": order.line_items.get().id}

        with nothing_moves(order):
            by_line = api.post("/v1/refunds", {"payment_intent_id": intent, "line_items": [line]})
            charge = {"order_charge_id": "och_01J00000000000000000000000"}
            by_charge = api.post("/v1/refunds", {"payment_intent_id": intent, "charges": [charge]})

        assert [(answer.status_code, answer.code) for answer in (by_line, by_charge)] == [
            (400, "ORDER_REQUIRED_FOR_LINE_ITEM_REFUND"),
            (400, "ORDER_REQUIRED_FOR_CHARGE_REFUND"),
        ]


class TestListing:
    """All payment intents of an environment, those of orders included."""

    @pytest.fixture
    def several(self, api, environment, customer):
        order = stories.paid_order(environment, total=3_000)
        standalone = create(api, 1_000, customer_id=customer.id, external_reference_id="till 4")
        canceled = create(api, 2_000)
        act(api, canceled, "cancel")
        refunded = create(api, 4_000)
        confirm(api, refunded)
        with settled():
            api.post("/v1/refunds", {"payment_intent_id": refunded, "amount_money": wire(eur(100))})
        return {
            "order": order,
            "leg": order.payment_intents.get().id,
            "standalone": standalone,
            "canceled": canceled,
            "refunded": refunded,
        }

    def found(self, api, **query):
        answer = api.get("/v1/payment-intents", query)
        assert answer.status_code == 200, answer.content
        return [row["payment_intent_id"] for row in answer.data]

    def test_the_newest_come_first(self, api, several):
        assert self.found(api) == [several[name] for name in ("refunded", "canceled", "standalone", "leg")]
        assert self.found(api, sort_by="amount", sort_direction="asc") == [
            several[name] for name in ("standalone", "canceled", "leg", "refunded")
        ]

    def test_filters_keep_what_they_say(self, api, several, customer):
        cases = {
            "leg": [{"order_id": several["order"].id}],
            "standalone": [
                {"customer_id": customer.id},
                {"external_reference_id": "till 4"},
                {"query": "till 4"},
                {"query": "ADA@post"},
                {"query": several["standalone"]},
                {"status": "requires_payment_method"},
                {"max_amount": 1_999},
            ],
            "canceled": [{"status": "canceled"}, {"min_amount": 2_000, "max_amount": 2_000}],
            "refunded": [{"refund_status": "partially_refunded"}, {"min_amount": 3_001}],
        }
        for name, queries in cases.items():
            for query in queries:
                assert self.found(api, **query) == [several[name]], query
        assert len(self.found(api, origin="api", payment_flow="api", currency="EUR")) == 4
        assert len(self.found(api, refund_status="none,refunded")) == 3
        for query in ({"origin": "checkout"}, {"payment_flow": "checkout"}, {"currency": "USD"}, {"query": "nobody"}):
            assert self.found(api, **query) == []

    def test_pages_follow_each_other(self, api, several):
        first = api.get("/v1/payment-intents", {"page_size": 3}).json()
        rest = api.get("/v1/payment-intents", {"page_size": 3, "page_token": first["next_page_token"]}).json()

        assert (len(first["data"]), len(rest["data"])) == (3, 1)
        assert not rest.get("next_page_token")

    def test_a_wrong_filter_is_refused(self, api):
        for query, code in [
            ({"status": "lost"}, "INVALID_PAYMENT_INTENT_STATUS"),
            ({"payment_flow": "pigeon"}, "INVALID_PAYMENT_FLOW"),
            ({"refund_status": "some"}, "INVALID_REFUND_STATUS"),
            ({"risk_level": "normal"}, "UNSUPPORTED_QUERY_PARAM"),
        ]:
            assert api.get("/v1/payment-intents", query).code == code

    def test_a_list_takes_as_many_statements_for_many(self, api, environment, django_assert_num_queries):
        create(api)
        api.get("/v1/payment-intents")
        with django_assert_num_queries(STATEMENTS_OF_A_LIST):
            assert len(api.get("/v1/payment-intents").data) == 1
        for _ in range(5):
            confirm(api, create(api), {"payment_source_token": THREE_D_SECURE})
            stories.paid_order(environment)
        with django_assert_num_queries(STATEMENTS_OF_A_LIST):
            assert len(api.get("/v1/payment-intents").data) == 11

    def test_reading_one_takes_few_statements(self, api, django_assert_num_queries):
        intent = create(api)
        confirm(api, intent, {"payment_source_token": THREE_D_SECURE})
        with django_assert_num_queries(STATEMENTS_OF_A_READ):
            assert "current_payment_action" in api.get(f"/v1/payment-intents/{intent}").data

    def test_somebody_elses_are_not_there(self, api, other_api, several):
        assert self.found(other_api) == []
        assert other_api.get(f"/v1/payment-intents/{several['standalone']}").code == "PAYMENT_INTENT_NOT_FOUND"

    def test_a_key_needs_the_scope(self, environment, several):
        narrow = client_of(environment, scopes=["commerce.orders.write"])
        reading = client_of(environment, scopes=["payments.payment_intents.read"])

        assert narrow.get("/v1/payment-intents").status_code == 403
        assert reading.get("/v1/payment-intents").status_code == 200
        assert act(reading, several["standalone"], "cancel").status_code == 403


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Two callers in real transactions; whoever comes second finds what the first has done."""

    ROUNDS = 20

    def test_two_confirmations_charge_once(self, environment):
        api = client_of(environment)
        for _ in range(self.ROUNDS):
            intent = create(api)

            with collecting():
                answers = at_once(*[lambda intent=intent: confirm(client_of(environment), intent)] * 2)

            assert sorted(answer.status_code for answer in answers) == [200, 409]
            (refused,) = [answer.code for answer in answers if answer.code]
            assert refused in ("PAYMENT_ALREADY_SUCCEEDED", "PAYMENT_CONFIRM_IN_PROGRESS")
            assert charged(order_of(intent)) == [10_000]
            assert_books(order_of(intent), paid=10_000, active_attempt_id="")

    def test_a_hold_is_captured_or_canceled_but_never_both(self, environment):
        api = client_of(environment)
        for _ in range(self.ROUNDS):
            intent = held(api)

            with collecting():
                captured, canceled = at_once(
                    lambda intent=intent: act(client_of(environment), intent, "capture"),
                    lambda intent=intent: act(client_of(environment), intent, "cancel"),
                )

            order = order_of(intent)
            status = api.get(f"/v1/payment-intents/{intent}").data["status"]
            assert (captured.status_code, canceled.status_code) == ((200, 409) if status == "succeeded" else (409, 200))
            taken = 10_000 if status == "succeeded" else 0
            assert_books(order, paid=taken, credit=10_000 - taken, balance=0, active_attempt_id="")

    def test_a_confirmation_and_a_cancellation_agree(self, environment):
        api = client_of(environment)
        for _ in range(self.ROUNDS):
            intent = create(api)

            with collecting():
                confirmed, canceled = at_once(
                    lambda intent=intent: confirm(client_of(environment), intent),
                    lambda intent=intent: act(client_of(environment), intent, "cancel"),
                )

            order, status = order_of(intent), api.get(f"/v1/payment-intents/{intent}").data["status"]
            assert status in ("succeeded", "canceled")
            taken = 10_000 if status == "succeeded" else 0
            assert sum(charged(order)) == taken
            assert (confirmed.status_code, canceled.status_code) == ((200, 409) if taken else (409, 200))
            assert_books(order, paid=taken, credit=10_000 - taken, balance=0, active_attempt_id="")

    def test_a_change_of_the_amount_and_a_confirmation_agree(self, environment):
        api = client_of(environment)
        for _ in range(self.ROUNDS):
            intent = create(api)
            body = {"amount_money": wire(eur(2_500))}

            with collecting():
                paid, changed = at_once(
                    lambda intent=intent: confirm(client_of(environment), intent),
                    lambda intent=intent, body=body: client_of(environment).patch(
                        f"/v1/payment-intents/{intent}", body
                    ),
                )

            amount = 2_500 if changed.status_code == 200 else 10_000
            assert paid.data["amount_money"] == wire(eur(amount))
            assert charged(order_of(intent)) == [amount]
            assert_books(order_of(intent), total=amount, paid=amount, balance=0)
