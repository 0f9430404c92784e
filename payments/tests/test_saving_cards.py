"""A buyer saves the card they pay with: shows by a code who they are, pays, and next time pays with what was saved."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from flint.events.models import Event
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.stories import actor_in, settled
from orders.models import Customer, Order
from orders.services import create_customer
from payments.models import CheckoutCredential, CustomerVerification, PaymentIntent, PaymentMethod
from payments.services.sessions.credentials import authenticate_buyer
from payments.services.sessions.ending import expire_if_due
from payments.services.sessions.erasing import erase_contacts
from payments.services.sessions.verifying import confirm_verification, request_verification
from payments.tests.acts import at_once, authenticate, later
from payments.tests.buyers import Buyer, buyer_of

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@buyer.example"
SAVE = {"purpose": "save_payment_method", "channel": "email"}


def paths(buyer: Buyer) -> str:
    return f"/v1/checkout-sessions/{buyer.session_id}/customer-verifications"


def ask(buyer: Buyer, email: str = ADA, **data):
    """Ask for a code, and return the answer; the mail has gone out by then."""
    with settled():
        return buyer.post(paths(buyer), {**SAVE, "email": email, **data})


def code_of(asked) -> str:
    verification = CustomerVerification.objects.get(id=asked.data["customer_verification_id"])
    return verification.code.reveal()


def confirm(buyer: Buyer, asked, code: str | None = None):
    return buyer.post(
        f"{paths(buyer)}/{asked.data['customer_verification_id']}/confirm", {"code": code or code_of(asked)}
    )


def verified(buyer: Buyer, email: str = ADA) -> Buyer:
    """Let a buyer show that an address is theirs."""
    answer = confirm(buyer, ask(buyer, email))
    assert answer.status_code == 200, answer.content
    return Buyer(buyer.session_id, answer.data["checkout_access"]["checkout_auth_token"], buyer.environment)


def pay(buyer: Buyer, token: str = "ctoken_card_visa", **data):
    body = {"action": "pay", "payment_source": {"confirmation_token": token}, "save_payment_method": True, **data}
    return buyer.post(f"/v1/orders/{buyer.session.order_id}/pay", body)


def another_checkout(environment, **data) -> Buyer:
    return buyer_of(stories.open_order(environment, total=3_000), **data)


@pytest.fixture
def order(environment):
    return stories.open_order(environment, total=4_000)


class TestSaving:
    def test_a_buyer_saves_a_card_and_pays_with_it_next_time(self, environment, order):
        buyer = verified(buyer_of(order))
        paid = pay(buyer)
        assert paid.data["payment_attempt"]["status"] == "succeeded"
        method = PaymentMethod.objects.get()
        customer = Customer.objects.get()
        assert (method.status, method.usage, method.last4, method.customer) == (
            "active",
            "on_session",
            "4242",
            customer,
        )
        assert method.exp_year > timezone.now().year
        order.refresh_from_db()
        assert (customer.email, order.customer_id) == (ADA, customer.id)
        assert PaymentIntent.objects.get().payment_method == method
        saved = Event.objects.get(type="payment_method.saved")
        assert (saved.subject_id, saved.data["usage"]) == (method.id, "on_session")

        next_time = another_checkout(environment)
        assert next_time.get("/v1/payment-methods").data == []
        known = verified(next_time)
        (shown,) = known.get("/v1/payment-methods").data
        assert shown["payment_method_id"] == method.id
        source = {"payment_method_id": method.id}
        again = known.post(f"/v1/orders/{known.session.order_id}/pay", {"action": "pay", "payment_source": source})
        assert again.data["payment_attempt"]["status"] == "succeeded"
        assert PaymentMethod.objects.count() == 1

    def test_one_whose_bank_asks_is_saved_once_the_buyer_has_answered(self, environment, order):
        buyer = verified(buyer_of(order))
        asked = pay(buyer, "ctoken_card_threeDSecure2Required")
        assert asked.data["payment_attempt"]["status"] == "requires_action" and not PaymentMethod.objects.exists()
        authenticate(buyer, asked)
        with settled():
            stories.deliver_notices(environment)
        assert PaymentMethod.objects.get().status == "active"

    def test_nothing_is_saved_of_a_payment_that_failed(self, order):
        buyer = verified(buyer_of(order))
        assert pay(buyer, "ctoken_card_chargeDeclined").data["payment_attempt"]["status"] == "failed"
        assert not PaymentMethod.objects.exists()

    def test_a_leg_that_failed_to_pay_with_a_card_to_keep_pays_with_one_that_is_not(self, order):
        buyer = verified(buyer_of(order))
        made = buyer.post(f"/v1/orders/{order.id}/payment-intents", {}).data["payment_intent"]["payment_intent_id"]

        def confirm_with(token: str, **data):
            intents = [{"payment_intent_id": made, "confirmation_token": token}]
            body = {"action": "confirm_payment_intents", "payment_intents": intents, **data}
            return buyer.post(f"/v1/orders/{order.id}/pay", body).data["payment_attempt"]["status"]

        assert confirm_with("ctoken_card_chargeDeclined", save_payment_method=True) == "failed"
        assert confirm_with("ctoken_card_visa") == "succeeded"
        assert not PaymentMethod.objects.exists()

    def test_the_notice_of_it_saves_nothing_twice(self, environment, order):
        buyer = verified(buyer_of(order))
        pay(buyer)
        with settled():
            stories.deliver_notices(environment)
        assert PaymentMethod.objects.count() == 1
        assert Event.objects.filter(type="payment_method.saved").count() == 1

    def test_for_a_customer_that_the_merchant_named_no_code_is_needed(self, environment, order):
        customer = create_customer(data={"email": ADA}, actor=actor_in(environment))
        buyer = buyer_of(order, customer_collection={"customer_id": customer.id})
        shown = buyer.get(f"/v1/checkout-sessions/{buyer.session_id}").data
        assert shown["save_payment_method_offered"] and not shown["save_payment_method_requires_verification"]
        assert pay(buyer).status_code == 200
        assert PaymentMethod.objects.get().customer == customer


class TestOffer:
    def shown(self, buyer: Buyer) -> tuple:
        data = buyer.get(f"/v1/checkout-sessions/{buyer.session_id}").data
        names = ("offered", "requires_verification", "phone_offered")
        return tuple(data[f"save_payment_method_{name}"] for name in names)

    def test_is_made_to_the_buyer_alone(self, api, order):
        buyer = buyer_of(order)
        assert self.shown(buyer) == (True, True, False)
        assert self.shown(verified(buyer)) == (True, False, False)
        assert "save_payment_method_offered" not in api.get(f"/v1/checkout-sessions/{buyer.session_id}").data

    def test_is_not_made_where_no_cards_are_taken(self, order):
        buyer = buyer_of(order, payments={"enabled_payment_options": ["ach_debit"]})
        assert self.shown(buyer) == (False, False, False)
        assert ask(buyer).code == "CUSTOMER_VERIFICATION_NOT_OFFERED"

    def test_is_not_made_where_the_merchant_does_not_want_it(self, api, order):
        assert api.patch("/v1/settings", {"checkout": {"saved_payment_details": {"enabled": False}}}).status_code == 200
        buyer = buyer_of(order)
        assert self.shown(buyer) == (False, False, False)
        assert ask(buyer).code == "CUSTOMER_VERIFICATION_NOT_OFFERED"
        assert pay(buyer).code == "SAVE_PAYMENT_METHOD_NOT_OFFERED"


class TestRefusals:
    def refused(self, order, answer, code: str, status: int) -> None:
        assert (answer.status_code, answer.code) == (status, code)
        order.refresh_from_db()
        assert order.paid_amount == 0 and not order.payment_attempts.exists()

    def test_without_a_customer(self, order):
        self.refused(order, pay(buyer_of(order)), "SAVE_PAYMENT_METHOD_VERIFICATION_REQUIRED", 409)

    def test_to_a_merchant(self, api, order):
        source = {"token": "pm_card_visa"}
        body = {"action": "pay", "payment_source": source, "save_payment_method": True}
        answer = api.post(f"/v1/orders/{order.id}/pay", body)
        self.refused(order, answer, "SAVE_PAYMENT_METHOD_CREDENTIAL_REQUIRED", 403)

    def test_of_anything_but_one_card_that_was_just_typed(self, order):
        buyer = verified(buyer_of(order))
        raw = pay(buyer, payment_source={"token": "pm_card_visa"})
        self.refused(order, raw, "SAVE_PAYMENT_METHOD_UNSUPPORTED", 400)
        self.refused(order, pay(buyer, "ctoken_usBankAccount_success"), "SAVE_PAYMENT_METHOD_UNSUPPORTED", 400)

    def test_of_texts(self, order):
        buyer = verified(buyer_of(order))
        answer = pay(buyer, save_payment_method_phone="+12025550123")
        self.refused(order, answer, "SAVE_PAYMENT_METHOD_PHONE_NOT_OFFERED", 409)
        answer = pay(buyer, save_payment_method_phone="+4930123456")
        self.refused(order, answer, "SAVE_PAYMENT_METHOD_PHONE_INVALID", 400)

    def test_with_false_it_is_an_ordinary_payment(self, order):
        assert pay(buyer_of(order), save_payment_method=False).data["payment_attempt"]["status"] == "succeeded"
        assert not PaymentMethod.objects.exists()


class TestCodes:
    def test_one_is_emailed_and_nothing_of_it_is_shown(self, order):
        asked = ask(buyer_of(order))
        assert asked.status_code == 201
        assert set(asked.data) == {
            "customer_verification_id",
            "checkout_session_id",
            "purpose",
            "channel",
            "email",
            "created_at",
            "expires_at",
        }
        code = code_of(asked)
        (sent,) = mail.outbox
        assert sent.to == [ADA] and sent.subject.startswith(f"{code} is your code for")
        assert re.fullmatch("[0-9]{6}", code) and code not in asked.content.decode()
        assert Message.objects.get().kind == "verification_code"

    def test_the_right_one_makes_a_customer_and_a_new_secret_once(self, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        code = code_of(asked)
        before = CheckoutCredential.objects.count()
        answer = confirm(buyer, asked, code)
        assert answer.data["checkout_session"]["checkout_session_id"] == buyer.session_id
        assert Customer.objects.get().email == ADA
        assert CheckoutCredential.objects.count() == before + 1
        assert confirm(buyer, asked, code).code == "CUSTOMER_VERIFICATION_CODE_INVALID"
        assert buyer.get("/v1/payment-methods").data == [], "the old secret acts for nobody still"
        row = CustomerVerification.objects.get()
        assert (row.status, row.code) == ("confirmed", None)

    def test_a_repeat_of_the_request_gets_the_same_secret(self, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        path = f"{paths(buyer)}/{asked.data['customer_verification_id']}/confirm"
        body = {"code": code_of(asked)}
        first = buyer.post(path, body, headers={"Idempotency-Key": "once"})
        again = buyer.post(path, body, headers={"Idempotency-Key": "once"})
        assert first.data["checkout_access"] == again.data["checkout_access"]

    def test_five_wrong_ones_and_the_right_one_is_too_late(self, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        code = code_of(asked)
        wrong = f"{(int(code) + 1) % 1_000_000:06}"
        for _ in range(5):
            assert confirm(buyer, asked, wrong).code == "CUSTOMER_VERIFICATION_CODE_INVALID"
        assert CustomerVerification.objects.get().wrong_tries == 5
        assert confirm(buyer, asked, code).code == "CUSTOMER_VERIFICATION_CODE_INVALID"
        assert not Customer.objects.exists()

    def test_many_guesses_at_once_are_all_counted(self, environment, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        wrong = f"{(int(code_of(asked)) + 1) % 1_000_000:06}"
        actor = actor_of(buyer)

        def guess():
            return confirm_verification(
                checkout_session_id=buyer.session_id,
                customer_verification_id=asked.data["customer_verification_id"],
                code=wrong,
                actor=actor,
            )

        outcomes = at_once(*[guess] * 4)
        assert [each.code for each in outcomes] == ["CUSTOMER_VERIFICATION_CODE_INVALID"] * 4
        assert CustomerVerification.objects.get().wrong_tries == 4

    def test_an_old_one_is_good_for_nothing(self, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        with pytest.raises(Exception) as refusal:
            confirm_verification(
                checkout_session_id=buyer.session_id,
                customer_verification_id=asked.data["customer_verification_id"],
                code=code_of(asked),
                actor=actor_of(buyer),
                at=timezone.now() + timedelta(minutes=15),
            )
        assert refusal.value.code == "CUSTOMER_VERIFICATION_CODE_INVALID"

    def test_a_new_one_takes_the_place_of_the_one_before(self, order):
        buyer = buyer_of(order)
        first = ask(buyer)
        code = code_of(first)
        second = ask(buyer)
        assert confirm(buyer, first, code).code == "CUSTOMER_VERIFICATION_CODE_INVALID"
        assert confirm(buyer, second).status_code == 200

    def test_who_acts_for_a_customer_asks_for_none(self, order):
        assert ask(verified(buyer_of(order))).code == "CHECKOUT_CUSTOMER_ALREADY_AUTHORIZED"

    def test_one_of_another_checkout_is_not_there(self, environment, order):
        buyer, other = buyer_of(order), another_checkout(environment)
        asked = ask(other)
        answer = confirm(buyer, asked)
        assert answer.status_code == 404
        path = f"{paths(other)}/{asked.data['customer_verification_id']}/confirm"
        assert buyer.post(path, {"code": code_of(asked)}).code == "CHECKOUT_SESSION_SCOPE_MISMATCH"

    def test_no_merchant_asks_for_or_takes_one(self, api, order):
        buyer = buyer_of(order)
        asked = ask(buyer)
        path = paths(buyer)
        for answer in (
            api.post(path, {**SAVE, "email": ADA}),
            api.post(f"{path}/{asked.data['customer_verification_id']}/confirm", {"code": code_of(asked)}),
        ):
            assert (answer.status_code, answer.code) == (403, "CHECKOUT_CREDENTIAL_REQUIRED")

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            ({"channel": "sms"}, "CUSTOMER_VERIFICATION_TEXT_UNAVAILABLE"),
            ({"purpose": "gift_card_purchase"}, "CUSTOMER_VERIFICATION_NOT_OFFERED"),
            ({"purpose": "confirm_saved_payment_method"}, "CUSTOMER_VERIFICATION_NOT_OFFERED"),
            ({"purpose": "anything"}, "INVALID_ENUM_VALUE"),
            ({"email": "nobody"}, "INVALID_EMAIL_FORMAT"),
        ],
    )
    def test_what_cannot_be_asked_for(self, order, data, code):
        answer = ask(buyer_of(order), **data)
        assert answer.code == code or (code == "INVALID_ENUM_VALUE" and answer.status_code == 400)
        assert mail.outbox == [] and not CustomerVerification.objects.exists()

    def test_an_address_is_needed(self, order):
        buyer = buyer_of(order)
        assert buyer.post(paths(buyer), SAVE).code == "FIELD_REQUIRED"

    def test_the_address_is_erased_with_the_contact(self, order):
        buyer = buyer_of(order)
        ask(buyer)
        expire_if_due(buyer.session_id, at=later(days=2))
        assert erase_contacts(at=later(days=40)) == 1
        row = CustomerVerification.objects.get()
        assert (row.email, row.code, row.status) == ("", None, "canceled") and row.email_digest


class TestWhoseItIs:
    """Whoever holds a link to somebody else's checkout gets at nothing of theirs."""

    @pytest.fixture
    def theirs(self, environment):
        customer = create_customer(data={"email": ADA}, actor=actor_in(environment))
        stories.saved_card(customer)
        return customer

    def test_the_code_for_a_customers_order_goes_to_that_customer_alone(self, environment, theirs):
        order = stories.open_order(environment, customer_id=theirs.id)
        buyer = buyer_of(order)
        answer = ask(buyer, "mallory@evil.example")
        assert answer.code == "CHECKOUT_CUSTOMER_CONFLICT" and mail.outbox == []
        assert ask(buyer, ADA.upper()).status_code == 201
        with settled():
            unnamed = buyer.post(paths(buyer), SAVE)
        assert unnamed.data["email"] == "a•••@buyer.example", "who did not name it does not learn it"
        assert [sent.to for sent in mail.outbox] == [[ADA], [ADA]]

    def test_an_address_of_somebodys_tells_nothing(self, environment, theirs):
        known, unknown = ask(another_checkout(environment)), ask(another_checkout(environment), "bob@buyer.example")
        assert set(known.data) == set(unknown.data)
        assert (known.data["purpose"], known.data["channel"]) == (unknown.data["purpose"], unknown.data["channel"])

    def test_who_shows_another_address_sees_nobodys_cards(self, environment, theirs):
        buyer = verified(another_checkout(environment), "bob@buyer.example")
        assert buyer.get("/v1/payment-methods").data == []
        method = PaymentMethod.objects.get()
        assert buyer.get(f"/v1/payment-methods/{method.id}").status_code == 404
        body = {"action": "pay", "payment_source": {"payment_method_id": method.id}}
        assert buyer.post(f"/v1/orders/{buyer.session.order_id}/pay", body).status_code == 404

    def test_in_one_checkout_each_acts_for_themselves(self, environment, theirs):
        buyer = another_checkout(environment)
        bob = verified(buyer, "bob@buyer.example")
        ada = verified(buyer, ADA)
        assert len(ada.get("/v1/payment-methods").data) == 1
        assert bob.get("/v1/payment-methods").data == []

    def test_an_order_that_became_another_customers_is_not_acted_on(self, environment, theirs):
        order = stories.open_order(environment)
        buyer = buyer_of(order)
        asked = ask(buyer, "bob@buyer.example")
        Order.objects.filter(id=order.id).update(customer=theirs)
        assert confirm(buyer, asked).code == "CHECKOUT_CUSTOMER_CONFLICT"

    def test_what_is_known_of_the_customer_is_shown_to_them_alone(self, environment, order):
        address = {"line1": "Ring 1", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE"}
        create_customer(data={"email": ADA, "billing_address": address}, actor=actor_in(environment))
        buyer = buyer_of(order)
        path = f"/v1/checkout-sessions/{buyer.session_id}"
        assert "customer_prefill" not in buyer.get(path).data
        assert verified(buyer).get(path).data["customer_prefill"] == {"email": ADA, "billing_address": address}


class TestLimits:
    def test_five_codes_for_a_checkout(self, order):
        buyer = buyer_of(order)
        for number in range(5):
            assert ask(buyer, f"b{number}@buyer.example").status_code == 201
        assert ask(buyer, "b9@buyer.example").code == "CUSTOMER_VERIFICATION_LIMIT_REACHED"
        assert len(mail.outbox) == 5

    def test_three_codes_for_an_address_in_a_quarter_of_an_hour(self, environment):
        for _ in range(3):
            assert ask(another_checkout(environment)).status_code == 201
        refused = ask(another_checkout(environment), "ADA@buyer.example")
        assert (refused.status_code, refused.code) == (429, "CUSTOMER_VERIFICATION_RATE_LIMITED")
        assert 800 < int(refused.headers["Retry-After"]) <= 900
        assert len(mail.outbox) == 3
        assert ask(another_checkout(environment), "bob@buyer.example").status_code == 201

    def test_no_more_of_them_at_once(self, environment):
        buyers = [another_checkout(environment) for _ in range(5)]

        def one(buyer: Buyer):
            return lambda: request_verification(
                checkout_session_id=buyer.session_id,
                purpose="save_payment_method",
                email=ADA,
                actor=actor_of(buyer),
            )

        outcomes = at_once(*[one(buyer) for buyer in buyers])
        assert sum(isinstance(each, CustomerVerification) for each in outcomes) == 3
        assert Message.objects.count() == 3

    def test_ten_in_a_day(self, environment):
        for _ in range(10):
            CustomerVerification.objects.update(created_at=timezone.now() - timedelta(hours=1))
            assert ask(another_checkout(environment)).status_code == 201
        CustomerVerification.objects.update(created_at=timezone.now() - timedelta(hours=1))
        assert ask(another_checkout(environment)).code == "CUSTOMER_VERIFICATION_RATE_LIMITED"

    def test_ten_wrong_codes_lock_the_address_for_a_day(self, environment):
        for _ in range(2):
            buyer = another_checkout(environment)
            asked = ask(buyer)
            wrong = f"{(int(code_of(asked)) + 1) % 1_000_000:06}"
            for _ in range(5):
                confirm(buyer, asked, wrong)
        late = another_checkout(environment)
        assert ask(late).code == "CUSTOMER_VERIFICATION_UNAVAILABLE"
        CustomerVerification.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert ask(late).status_code == 201


def actor_of(buyer: Buyer):
    """The buyer as services know them."""
    secret = buyer.credential["X-Checkout-Session-Secret"]
    return authenticate_buyer(buyer.session_id, secret, timezone.now())[0]
