"""Paying as a buyer: with what a session takes, for whom, and going on with a payment after the session has ended."""

import pytest
from django.utils import timezone

from flint.actors import Actor
from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import deliver_notices, eur, line, time_passes, wire
from orders import services
from orders.models import Order
from payments.models.sessions import RECOVERY_WINDOW
from payments.services.sessions.abandoning import cancel_abandoned
from payments.services.sessions.ending import expire_due_sessions
from payments.services.sessions.erasing import KEPT_FOR, erase_contacts
from payments.services.sources import ConfirmationTokenRequired, source_of
from payments.tests.acts import (
    DEBIT,
    THREE_D_SECURE,
    attempt_of,
    attempts_of,
    authenticate,
    cancel_attempt,
    charged,
    goes_through_after_all,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    resume,
    stage,
)
from payments.tests.buyers import buyer_of, over
from refunds.tests.disputing import bank, dispute

SESSIONS = "/v1/checkout-sessions"


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


def pay_with(buyer, order: Order, **source):
    return buyer.post(f"/v1/orders/{order.id}/pay", {"action": "pay", "payment_source": source})


class TestTheSource:
    def test_a_confirmation_token(self, order):
        buyer = buyer_of(order)
        paid = pay_with(buyer, order, confirmation_token="ctoken_card_visa")
        assert paid.data["payment_attempt"]["status"] == "succeeded"

    def test_a_raw_token_is_for_merchants(self, api, order):
        buyer = buyer_of(order)
        with nothing_moves(order):
            refused = pay_with(buyer, order, token="pm_1Q0PsIJvEtkwdCNYMSaVuRz6")
        assert (refused.status_code, refused.code) == (400, "CONFIRMATION_TOKEN_REQUIRED")
        assert refused.error["param"] == "payment_source.token"

    def test_each_payment_intent_too(self, order):
        buyer = buyer_of(order)
        leg = {"payment_intent_id": stage(buyer, order), "token": "pm_somethingElse"}
        refused = buyer.post(
            f"/v1/orders/{order.id}/pay", {"action": "confirm_payment_intents", "payment_intents": [leg]}
        )
        assert (refused.code, refused.error["param"]) == ("CONFIRMATION_TOKEN_REQUIRED", "payment_intents[0].token")

    def test_the_published_test_cards_are_for_sandboxes(self, merchant):
        order = stories.open_order(Environment.objects.get(merchant=merchant, kind="live"))
        buyer = Actor(kind="customer", environment_id=order.environment_id, id="cs_1", order_id=order.id)
        given = {"token": "pm_card_visa"}
        with pytest.raises(ConfirmationTokenRequired):
            source_of(order, given, "payment_source", processor="stripe", actor=buyer)

    @pytest.mark.processors("sandbox", "stripe")
    def test_a_way_to_pay_that_the_merchant_did_not_choose(self, order):
        buyer = buyer_of(order, payments={"enabled_payment_options": ["ach_debit"]})
        for source in ({"confirmation_token": "ctoken_card_visa"}, {"token": "pm_card_visa"}):
            with nothing_moves(order):
                refused = pay_with(buyer, order, **source)
            assert refused.code == "PAYMENT_OPTION_NOT_ALLOWED"
            assert (refused.error["payment_option"], refused.error["reason"]) == (
                "card",
                "disabled_by_merchant_settings",
            )
        with nothing_moves(order):
            body = {"payment_options": ["card"]}
            assert buyer.post(f"/v1/orders/{order.id}/payment-intents", body).code == "PAYMENT_OPTION_NOT_ALLOWED"

    def test_one_that_it_chose(self, order):
        buyer = buyer_of(order, payments={"enabled_payment_options": ["card"]})
        assert pay(buyer, order, DEBIT).code == "PAYMENT_OPTION_NOT_ALLOWED"
        unknown = pay_with(buyer, order, confirmation_token="ctoken_nothing")
        assert unknown.data["payment_attempt"]["failure_code"] == "invalid_payment_source"
        assert pay(buyer, order).data["payment_attempt"]["status"] == "succeeded"


class TestWhoPays:
    def test_the_contact_of_the_session_unless_the_request_says_another(self, order):
        buyer = buyer_of(order)
        buyer.patch(f"{SESSIONS}/{buyer.session_id}", {"buyer_contact": {"email": "ann@example.com", "phone": "+491"}})

        pay(buyer, order, buyer_contact={"phone": "+492222222"})

        order.refresh_from_db()
        assert (order.contact_email, order.contact_phone) == ("ann@example.com", "+492222222")

    @pytest.fixture
    def ann(self, environment):
        return services.create_customer(data={"email": "Ann@example.com"}, actor=stories.actor_in(environment))

    def test_a_guest_who_pays_by_card_is_the_customer_with_that_address(self, order, ann):
        buyer = buyer_of(order)

        paid = pay(buyer, order, buyer_contact={"email": "ann@EXAMPLE.com"})

        assert paid.data["order"]["customer_id"] == ann.id
        assert_books(order, paid=10_000)

    def test_a_debit_that_is_under_way_leaves_it_nobodys(self, order, ann):
        buyer = buyer_of(order)
        waiting = pay(buyer, order, DEBIT, buyer_contact={"email": ann.email})
        assert waiting.data["payment_attempt"]["status"] == "processing"
        assert "customer_id" not in waiting.data["order"]

    def test_an_order_keeps_the_customer_it_has(self, environment, order, ann):
        actor = stories.actor_in(environment)
        bob = services.create_customer(data={"email": "bob@example.com"}, actor=actor)
        services.update_order(order_id=order.id, data={"customer_id": bob.id}, actor=actor)
        paid = pay(buyer_of(order), order, buyer_contact={"email": ann.email})
        assert paid.data["order"]["customer_id"] == bob.id

    def test_nobody_by_that_address_is_nobody(self, order, other_api, ann):
        other_api.post("/v1/customers", {"email": "zoe@example.com"})
        paid = pay(buyer_of(order), order, buyer_contact={"email": "zoe@example.com"})
        assert "customer_id" not in paid.data["order"]

    def test_the_customer_that_the_checkout_acts_for(self, order, ann):
        paid = pay(buyer_of(order, customer_collection={"customer_id": ann.id}), order)
        assert paid.data["order"]["customer_id"] == ann.id


class TestRecovery:
    """A session ends while its buyer is with the bank."""

    @pytest.fixture
    def asked(self, order):
        """A buyer who was sent to the bank, and whose session is over by now."""
        buyer = buyer_of(order)
        buyer.asked = pay(buyer, order, THREE_D_SECURE)
        buyer.attempt = attempt_of(buyer.asked)
        return over(buyer)

    def test_d100_the_beat_ends_the_session_and_leaves_the_payment(self, api, order, asked):
        assert expire_due_sessions() == 1

        shown = api.get(f"{SESSIONS}/{asked.session_id}").data
        assert (shown["status"], shown["recovery_mode"]) == ("expired", True)
        assert shown["recovery_payment_attempt_id"] == asked.attempt
        assert asked.session.recovery_expires_at - asked.session.ended_at == RECOVERY_WINDOW
        assert attempts_of(order) == ["requires_action"]

    def test_paying_it_pays_the_order(self, api, order, asked):
        expire_due_sessions()
        authenticate(api, asked.asked)

        done = resume(asked, order, asked.attempt)

        assert done.data["payment_attempt"]["status"] == "succeeded"
        assert asked.session.status == "expired"
        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0, payment_status="paid")

    def test_d006_it_is_paid_also_if_the_buyer_never_comes_back(self, api, environment, order, asked):
        expire_due_sessions()
        authenticate(api, asked.asked)

        deliver_notices(environment)

        assert_books(order, paid=10_000, outstanding=0)

    def test_its_buyer_reads_and_resumes_and_does_nothing_else(self, order, asked):
        path = f"/v1/orders/{order.id}"
        assert asked.get(path).status_code == 200
        assert asked.get(f"{SESSIONS}/{asked.session_id}").data["recovery_mode"] is True
        assert resume(asked, order, asked.attempt).data["payment_attempt"]["status"] == "requires_action"
        with nothing_moves(order):
            for answer in (
                pay(asked, order),
                asked.post(f"{path}/payment-intents", {}),
                asked.post(f"{path}/payment-attempts/{asked.attempt}/cancel", {}),
                asked.patch(path, {"buyer_note": "x"}),
                asked.post(f"{path}/discounts/reprice", {}),
                asked.patch(f"{SESSIONS}/{asked.session_id}", {"timezone": "Europe/Berlin"}),
            ):
                assert answer.code == "CHECKOUT_RECOVERY_RESTRICTED", answer.content
            other = "opa_01J00000000000000000000000"
            assert resume(asked, order, other).code == "CHECKOUT_RECOVERY_ATTEMPT_MISMATCH"

    def test_no_new_session_meanwhile(self, api, order, asked):
        expire_due_sessions()
        with nothing_moves(order):
            refused = api.post(SESSIONS, {"order_id": order.id})
        assert (refused.code, refused.error["order_payment_attempt_id"]) == (
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            asked.attempt,
        )

    def test_when_the_window_is_over_the_credential_opens_nothing(self, order, asked):
        expire_due_sessions()
        session = asked.session
        session.recovery_expires_at = timezone.now()
        session.save()

        for answer in (asked.get(f"/v1/orders/{order.id}"), resume(asked, order, asked.attempt)):
            assert (answer.status_code, answer.code) == (409, "CHECKOUT_SESSION_EXPIRED")

    def test_d036_when_the_window_is_over_the_payment_is_let_go_and_the_order_can_be_paid_again(
        self, api, order, asked
    ):
        expire_due_sessions()
        assert cancel_abandoned() == 0

        with stories.settled():
            assert cancel_abandoned(at=later(hours=1, minutes=1)) == 1

        assert attempts_of(order) == ["canceled"]
        assert cancel_abandoned(at=later(hours=2)) == 0
        buyer = buyer_of(order)
        pay(buyer, order)
        assert_books(order, paid=10_000, active_attempt_id="")

    def test_unless_the_bank_let_it_through_meanwhile(self, api, order, asked):
        expire_due_sessions()
        authenticate(api, asked.asked)

        with stories.settled():
            cancel_abandoned(at=later(hours=1, minutes=1))

        assert charged(order) == [10_000]
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_payment_whose_answer_was_lost_is_gone_on_with(self, environment, order):
        buyer = buyer_of(order)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            unknown = pay(buyer, order)
        assert unknown.data["payment_attempt"]["status"] == "processing"
        over(buyer)
        expire_due_sessions()

        done = resume(buyer, order, attempt_of(unknown))

        assert done.data["payment_attempt"]["status"] == "succeeded"
        assert charged(order) == [10_000]

    def test_d101_a_payment_that_goes_through_after_it_was_canceled_is_on_the_order(self, api, environment, order):
        buyer = buyer_of(order)
        pay(buyer, order, "pm_card_chargeDeclined")
        api.post(f"{SESSIONS}/{buyer.session_id}/close", {})
        again = buyer_of(order)
        goes_through_after_all(order)
        deliver_notices(environment)

        assert again.session.status == "paid"
        assert pay(again, order).code == "CHECKOUT_SESSION_NOT_OPEN"
        assert_books(order, paid=10_000, outstanding=0)


class TestTime:
    def test_d100_a_debit_that_lands_days_after_the_session_expired_is_booked(self, environment, order):
        buyer = buyer_of(order)
        pay(buyer, order, DEBIT)
        over(buyer)
        expire_due_sessions()

        time_passes(environment, later(days=7))

        assert_books(order, paid=10_000, outstanding=0, payment_status="paid")

    def test_d010_while_a_debit_is_under_way_nobody_pays_again(self, api, order):
        buyer = buyer_of(order)
        pay(buyer, order, DEBIT)
        with nothing_moves(order):
            refused = pay(buyer, order)
        assert (refused.code, refused.error["is_resumable"]) == ("ORDER_PAYMENT_ATTEMPT_ACTIVE", False)
        assert cancel_attempt(buyer, order, refused.error["order_payment_attempt_id"]).code == (
            "PAYMENT_ATTEMPT_STILL_PROCESSING"
        )

    def test_d104_expiry_ends_checkouts_and_never_an_order(self, environment):
        open_one = stories.open_order(environment)
        paid = stories.paid_order(environment)
        refunded = stories.paid_order(environment)
        stories.refund(refunded, amount_money=eur(3_000))
        over(buyer_of(open_one))
        before = [(order.status, order.paid_amount) for order in (paid, refunded)]

        assert expire_due_sessions(at=later(days=2)) == 1

        for order, (status, amount) in zip((paid, refunded), before, strict=True):
            order.refresh_from_db()
            assert (order.status, order.paid_amount) == (status, amount)
        assert_books(open_one, status="open", outstanding=10_000)

    def test_holds_do_not_keep_others_from_expiring(self, order, environment, monkeypatch):
        monkeypatch.setattr("payments.services.sessions.ending.BATCH", 1)
        held = buyer_of(order)
        hold(held, order)
        over(held)
        other = over(buyer_of(stories.open_order(environment)))

        assert expire_due_sessions() == 1

        assert (held.session.status, other.session.status) == ("open", "expired")

    def test_how_the_buyer_is_reached_is_forgotten_thirty_days_after_the_end(self, api, order):
        buyer = buyer_of(order, customer_collection={"prefilled_customer_info": {"email": "ann@example.com"}})
        buyer.patch(f"{SESSIONS}/{buyer.session_id}", {"buyer_contact": {"phone": "+4930123456"}})
        assert erase_contacts(at=later(days=60)) == 0
        over(buyer)
        expire_due_sessions()
        assert erase_contacts(at=timezone.now() + KEPT_FOR * 0.9) == 0

        assert erase_contacts(at=later(days=31)) == 1

        shown = api.get(f"{SESSIONS}/{buyer.session_id}")
        assert "buyer_contact" not in shown.data
        assert "ann@example.com" not in shown.content.decode() and "4930123456" not in shown.content.decode()
        assert erase_contacts(at=later(days=32)) == 0
        assert not buyer.session.credentials.exists()


def test_d024_every_older_page_of_an_order_is_refused_politely(api, order):
    pages = [buyer_of(order)]
    for _ in range(3):
        pages.append(buyer_of(order, replace_checkout_session_id=pages[-1].session_id))

    answers = [pay(page, order) for page in pages]

    assert [answer.code for answer in answers] == ["CHECKOUT_SESSION_NOT_OPEN"] * 3 + [None]
    assert charged(order) == [10_000]


def test_d004_once_the_notice_has_paid_it_the_buyer_finds_it_paid_however_often(api, environment, order):
    buyer = buyer_of(order)
    asked = pay(buyer, order, THREE_D_SECURE)
    authenticate(api, asked)
    deliver_notices(environment)
    assert buyer.session.status == "paid"

    for _ in range(2):
        assert resume(buyer, order, attempt_of(asked)).data["payment_attempt"]["status"] == "succeeded"
        assert buyer.get(f"/v1/orders/{order.id}").data["payment_status"] == "paid"
        own = buyer.get(f"/v1/orders/{order.id}/payment-attempts").data
        assert [attempt["status"] for attempt in own] == ["succeeded"]
    assert charged(order) == [10_000]
    assert_books(order, paid=10_000, outstanding=0)


def test_d007_what_was_paid_at_the_bank_stands_whatever_was_tried_on_the_order_meanwhile(api, environment, order):
    buyer = buyer_of(order)
    asked = pay(buyer, order, THREE_D_SECURE)
    for answer in (
        api.delete(f"/v1/orders/{order.id}/line-items/{order.line_items.get().id}"),
        api.post(f"/v1/orders/{order.id}/close", {}),
        api.post(f"{SESSIONS}/{buyer.session_id}/close", {}),
    ):
        assert answer.code in ("ORDER_PAYMENT_ATTEMPT_ACTIVE", "CHECKOUT_PAYMENT_RESOLVING")
    authenticate(api, asked)
    deliver_notices(environment)

    assert charged(order) == [10_000]
    assert_books(order, total=10_000, paid=10_000, outstanding=0, payment_status="paid")


def test_d009_after_a_lost_answer_a_second_press_gets_the_same_payment(order):
    buyer = buyer_of(order)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        first = pay(buyer, order, key="press")
    assert first.data["payment_attempt"]["status"] == "processing"

    second = pay(buyer, order, key="press again")

    assert second.code == "CHECKOUT_SESSION_NOT_OPEN"
    assert buyer.get(f"/v1/orders/{order.id}").data["payment_status"] == "paid"
    assert charged(order) == [10_000]


def test_d016_a_paid_order_never_comes_back_as_a_cart(api, environment, order):
    pay(buyer_of(order), order)
    assert api.post(SESSIONS, {"order_id": order.id}).code == "ORDER_ALREADY_PAID"
    another = stories.open_order(environment, line(1_500))
    pay(buyer_of(another), another)
    assert (charged(order), charged(another)) == ([10_000], [1_500])


def test_d012_what_is_paid_is_what_the_stored_order_owes(environment):
    dear, cheap = stories.open_order(environment, line(50_000)), stories.open_order(environment, line(500))
    buyer = buyer_of(cheap)

    assert pay(buyer, dear).code == "CHECKOUT_SESSION_ORDER_MISMATCH"
    body = {"action": "pay", "payment_source": {"token": "pm_card_visa"}, "amount_money": wire(eur(1))}
    assert buyer.post(f"/v1/orders/{cheap.id}/pay", body).code == "UNKNOWN_FIELD"
    leg = stage(buyer, cheap)
    other = buyer_of(dear)
    chosen = {"payment_intent_id": leg, "token": "pm_card_visa"}
    body = {"action": "confirm_payment_intents", "payment_intents": [chosen]}
    assert other.post(f"/v1/orders/{dear.id}/pay", body).code == "PAYMENT_INTENT_NOT_PART_OF_ORDER"
    assert (charged(dear), charged(cheap)) == ([], [])


def test_what_a_dispute_took_back_is_not_collected_by_an_open_session(environment):
    order = stories.paid_order(environment)
    services.add_line_items(order_id=order.id, line_items=[line(500)], actor=stories.actor_in(environment))
    buyer = buyer_of(order)
    bank(dispute(order), "lose")

    assert buyer.session.status == "open"
    with nothing_moves(order):
        assert pay(buyer, order).code == "ORDER_NOT_PAYABLE"
    for path in (f"/v1/orders/{order.id}", f"{SESSIONS}/{buyer.session_id}"):
        assert "payment_collection" not in buyer.get(path).data
