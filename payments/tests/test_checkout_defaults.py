"""What a checkout is where its caller says nothing: as the merchant chose it once, save where that does not fit."""

import pytest

from flint.testing import stories
from flint.testing.stories import eur, wire
from payments.models import CheckoutSession
from payments.services.links.recovery import create_pay_link, visit_pay_link
from payments.tests.acts import later
from payments.tests.buyers import Buyer, buyer_of

pytestmark = pytest.mark.django_db(transaction=True)

TIPS = {"enabled": True, "tip_percent_options": [5, 10, 15]}


def choose(api, **sections):
    answer = api.patch("/v1/settings", sections)
    assert answer.status_code == 200, answer.content


def opened(api, environment, **data) -> CheckoutSession:
    order = stories.open_order(environment, total=4_000)
    made = api.post("/v1/checkout-sessions", {"order_id": order.id, **data})
    assert made.status_code == 201, made.content
    return CheckoutSession.objects.get(id=made.data["checkout_session"]["checkout_session_id"])


def seconds(session: CheckoutSession) -> int:
    return round((session.expires_at - session.created_at).total_seconds())


def test_a_checkout_lives_as_long_as_the_merchant_chose(api, environment):
    assert seconds(opened(api, environment)) == 86_400
    choose(api, checkout={"default_expires_in_seconds": 900})
    assert seconds(opened(api, environment)) == 900
    assert seconds(opened(api, environment, expiration={"expires_in_seconds": 120})) == 120
    assert seconds(stories.checkout(stories.open_order(environment)).session) == 900


def test_a_pay_link_opens_one_that_lives_as_long(api, environment):
    choose(api, checkout={"default_expires_in_seconds": 900})
    order = stories.open_order(environment)
    link = create_pay_link(order_id=order.id, actor=stories.actor_in(environment))
    assert seconds(visit_pay_link(link, at=later())) == 900


def test_what_the_merchant_chose_holds_where_the_caller_says_nothing(api, environment):
    choose(
        api,
        checkout={"enabled_payment_options": ["card"], "require_email": True},
        legal={"terms_of_service_url": "https://shop.example/terms", "require_terms_of_service": True},
        branding={"primary_color": "#112233"},
        tipping=TIPS,
    )
    session = opened(api, environment)
    assert session.settings == {
        "payments": {"enabled_payment_options": ["card"]},
        "customer_collection": {"require_email": True},
        "legal": {"terms_of_service_url": "https://shop.example/terms", "require_terms_of_service": True},
        "theme": {"primary_color": "#112233"},
        "tip": {"enabled": True, "is_custom_tip_enabled": False, "tip_percent_options": [50_000, 100_000, 150_000]},
    }
    shown = api.get(f"/v1/checkout-sessions/{session.id}").data
    assert shown["tip"]["tip_percent_options"] == [5, 10, 15]


def test_what_the_caller_says_goes_first(api, environment):
    choose(
        api,
        checkout={"enabled_payment_options": ["card"], "require_email": True, "require_phone": True},
        legal={"terms_of_service_url": "https://shop.example/terms"},
        branding={"primary_color": "#112233", "accent_color": "#445566"},
        tipping=TIPS,
    )
    session = opened(
        api,
        environment,
        payments={"enabled_payment_options": ["ach_debit"], "payment_note": "Thanks"},
        customer_collection={"require_email": False},
        legal={"contract_url": "https://shop.example/contract"},
        theme={"primary_color": "#000000"},
        tip={"enabled": False},
    )
    assert session.settings == {
        "payments": {"enabled_payment_options": ["ach_debit"], "payment_note": "Thanks"},
        "customer_collection": {"require_email": False, "require_phone": True},
        "legal": {"contract_url": "https://shop.example/contract"},
        "theme": {"primary_color": "#000000", "accent_color": "#445566"},
        "tip": {"enabled": False},
    }


def test_nobody_is_asked_to_tip_a_gift(api, environment):
    choose(api, tipping=TIPS)
    gift = {"name": "Roof", "payment_link_type": "donation"}
    link = api.post("/v1/payment-links", gift).data["payment_link_id"]
    context = api.get(f"/v1/payment-links/{link}/public").data["resolution_context"]
    body = {"resolution_context": context, "unit_price_overrides": {"donation": wire(eur(500))}}
    made = api.post(f"/v1/payment-links/{link}/resolve", body, headers={"Idempotency-Key": "gift"})
    assert made.status_code == 201, made.content
    assert "tip" not in made.data["checkout_session"]


class TestTips:
    """Which tips a buyer may choose is checked where they are taken, whatever the page shows."""

    def tip(self, buyer: Buyer, **tip):
        order_id = buyer.session.order_id
        return buyer.patch(f"/v1/orders/{order_id}", {"requested_tip": tip or None})

    def test_none_of_the_buyers_own_where_the_merchant_allows_none(self, environment):
        order = stories.open_order(environment, total=4_000)
        buyer = buyer_of(
            order,
            tip={"enabled": True, "is_custom_tip_enabled": False, "tip_percent_options": [50_000, 100_000, 150_000]},
        )
        for own in ({"amount_money": wire(eur(1))}, {"percent": 20}):
            refused = self.tip(buyer, **own)
            assert (refused.status_code, refused.code) == (403, "CHECKOUT_TIP_NOT_ALLOWED")
        order.refresh_from_db()
        assert order.tip_amount == 0 and order.order_revision == 1
        assert self.tip(buyer, percent=10).data["pricing_amounts"]["total_money"]["amount"] == 4_400
        assert self.tip(buyer).data["pricing_amounts"]["total_money"]["amount"] == 4_000

    def test_without_options_the_usual_ones(self, environment):
        buyer = buyer_of(stories.open_order(environment), tip={"enabled": True, "is_custom_tip_enabled": False})
        assert self.tip(buyer, percent=15).status_code == 200
        assert self.tip(buyer, percent=5).code == "CHECKOUT_TIP_NOT_ALLOWED"

    @pytest.mark.parametrize("tip", [{"enabled": True}, {"enabled": True, "is_custom_tip_enabled": True}])
    def test_any_where_the_merchant_does_not_forbid_it(self, environment, tip):
        buyer = buyer_of(stories.open_order(environment), tip=tip)
        assert self.tip(buyer, amount_money=wire(eur(123))).status_code == 200
        assert self.tip(buyer, percent=7.5).status_code == 200
