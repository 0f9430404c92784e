"""Disputes over the API: in the contract's own words, only for whom they are, and found by every filter."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.api.wire import timestamp
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stories import actor_in, eur, wire
from orders.services import create_customer
from payments.models import PaymentIntent
from payments.processors.sandbox import dashboard
from payments.tests.acts import DEBIT, later, pay, reference_of
from refunds.models import Dispute
from refunds.tests.disputing import bank, dispute, record, told


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "buyer@example.com", "name": "Bo"}, actor=actor_in(environment))


@pytest.fixture
def order(environment, customer):
    return stories.paid_order(environment, customer_id=customer.id)


def read(api, subject, **query):
    return api.get(f"/v1/disputes/{subject.id}", query)


class TestOne:
    def test_it_has_the_fields_of_the_contract(self, api, merchant, order, customer):
        taken = dispute(order, 4_000, reason="product_not_received")
        shown = read(api, taken).data

        assert shown == {
            "dispute_id": taken.id,
            "merchant_id": merchant.id,
            "order_id": order.id,
            "payment_intent_id": order.payment_intents.get().id,
            "customer_id": customer.id,
            "amount_money": wire(eur(4_000)),
            "withdrawn_money": wire(eur(4_000)),
            "charged_back_money": wire(eur(4_000)),
            "status": "needs_response",
            "case_type": "chargeback",
            "reason": "product_not_received",
            "payment_option": "card",
            "action_required": True,
            "has_evidence": False,
            "evidence_response_allowed": True,
            "evidence_submission_count": 0,
            "evidence_due_at": shown["evidence_due_at"],
            "evidence_deadline_passed": False,
            "evidence_submission_past_due": False,
            "metadata": {},
            "status_changed_at": shown["status_changed_at"],
            "created_at": shown["created_at"],
            "updated_at": shown["updated_at"],
        }
        assert shown["evidence_due_at"] == timestamp(taken.evidence_due_at)

    def test_it_follows_the_processor(self, api, order):
        taken = dispute(order)
        bank(taken, "submit_evidence")
        shown = read(api, taken).data
        assert (shown["status"], shown["has_evidence"], shown["action_required"]) == ("under_review", True, False)
        bank(taken, "win")
        shown = read(api, taken).data
        assert (shown["status"], shown["withdrawn_money"]) == ("won", wire(eur(0)))

    def test_a_bank_return_cannot_be_contested(self, api, environment):
        order = stories.open_order(environment)
        pay(api, order, DEBIT)
        stories.time_passes(environment, later(days=6))
        state = dashboard.return_debit(environment_id=environment.id, reference=reference_of(order))
        shown = read(api, told(order, state.reference)).data

        assert (shown["case_type"], shown["status"], shown["payment_option"]) == ("bank_return", "lost", "ach_debit")
        assert (shown["evidence_response_allowed"], shown["response_unavailable_reason"]) == (
            False,
            "bank_return_not_contestable",
        )

    def test_it_is_expanded_by_what_it_is_about(self, api, order, customer):
        taken = dispute(order)
        shown = read(api, taken, expand="customer,order,payment_intent").data
        assert shown["customer"]["customer_id"] == customer.id
        assert (shown["order"]["order_id"], shown["order"]["payment_status"]) == (order.id, "unpaid")
        assert shown["payment_intent"]["payment_intent_id"] == taken.payment_intent_id
        assert read(api, taken, expand="refund").code == "INVALID_EXPAND"

    def test_a_payment_without_an_order_shows_none(self, api):
        made = api.post("/v1/payment-intents", {"amount_money": wire(eur(2_000)), "payment_options": ["card"]})
        intent = made.data["payment_intent"]["payment_intent_id"]
        api.post(f"/v1/payment-intents/{intent}/confirm", {"payment_source_token": "pm_card_visa"})
        order = hidden_order_of(intent)
        shown = read(api, dispute(order), expand="order").data

        assert "order_id" not in shown and shown.get("order") is None
        assert shown["payment_intent_id"] == intent
        assert api.get("/v1/disputes", {"order_id": order.id}).data == []
        assert api.get(f"/v1/payment-intents/{intent}").data["settlement_status"] == "disputed"

    def test_there_is_none(self, api, other_api, order):
        taken = dispute(order)
        for refused in (read(other_api, taken), api.get("/v1/disputes/dsp_01J00000000000000000000000")):
            assert (refused.status_code, refused.code) == (404, "DISPUTE_NOT_FOUND")


class TestScopes:
    def test_reading_needs_its_scope(self, environment, order):
        taken = dispute(order)
        blind = client_of(environment, scopes=["commerce.orders.read"])
        for path in ("/v1/disputes", f"/v1/disputes/{taken.id}"):
            assert (blind.get(path).status_code, blind.get(path).code) == (403, "INSUFFICIENT_SCOPE")

    @pytest.mark.parametrize("name", ["customer", "order", "payment_intent"])
    def test_so_does_what_it_is_expanded_by(self, environment, order, name):
        reader = client_of(environment, scopes=["payments.disputes.read"])
        taken = dispute(order)
        assert read(reader, taken).status_code == 200
        assert read(reader, taken, expand=name).code == "INSUFFICIENT_SCOPE"

    def test_nothing_is_written_over_the_api(self, api, order):
        taken = dispute(order)
        for verb in ("POST", "PATCH", "DELETE"):
            assert api.call(verb, f"/v1/disputes/{taken.id}").status_code == 405


class TestList:
    @pytest.fixture
    def rows(self, environment, customer) -> dict[str, Dispute]:
        first = dispute(stories.paid_order(environment, customer_id=customer.id), reason="fraudulent")
        second = bank(dispute(stories.paid_order(environment), reason="duplicate"), "lose")
        third = dispute(stories.paid_order(environment), case_type="inquiry")
        return {"fraud": first, "lost": second, "inquiry": third}

    def test_newest_first_in_pages(self, api, rows):
        newest_first = [rows["inquiry"].id, rows["lost"].id, rows["fraud"].id]
        page = api.get("/v1/disputes", {"page_size": 2})
        assert [row["dispute_id"] for row in page.data] == newest_first[:2]
        rest = api.get("/v1/disputes", {"page_size": 2, "page_token": page.json()["next_page_token"]})
        assert [row["dispute_id"] for row in rest.data] == newest_first[2:]

    def test_every_filter(self, api, rows, customer):
        fraud = rows["fraud"]
        Dispute.objects.filter(id=fraud.id).update(evidence_due_at=timezone.now() + timedelta(days=2))
        soon = timestamp(timezone.now() + timedelta(days=3))
        for query, found in (
            ({"status": "lost"}, ["lost"]),
            ({"reason": "fraudulent"}, ["fraud"]),
            ({"case_type": "inquiry"}, ["inquiry"]),
            ({"payment_intent_id": fraud.payment_intent_id}, ["fraud"]),
            ({"order_id": rows["lost"].order_id}, ["lost"]),
            ({"customer_id": customer.id}, ["fraud"]),
            ({"evidence_due_before": soon}, ["fraud"]),
            ({"evidence_due_after": soon}, ["inquiry", "lost"]),
            ({"created_after": timestamp(fraud.created_at)}, ["inquiry", "lost", "fraud"]),
            ({"created_before": timestamp(fraud.created_at)}, []),
        ):
            shown = [row["dispute_id"] for row in api.get("/v1/disputes", query).data]
            assert shown == [rows[name].id for name in found], query

    def test_wrong_filters_are_told(self, api):
        for query, code in (
            ({"status": "open"}, "INVALID_DISPUTE_STATUS"),
            ({"case_type": "duel"}, "INVALID_CASE_TYPE"),
            ({"reason": "aliens"}, "INVALID_DISPUTE_REQUEST"),
            ({"evidence_due_after": "soon"}, "INVALID_DISPUTE_REQUEST"),
            (
                {"evidence_due_after": "2026-02-01T00:00:00Z", "evidence_due_before": "2026-01-01T00:00:00Z"},
                "INVALID_DISPUTE_REQUEST",
            ),
            ({"refund_id": "ref_1"}, "UNSUPPORTED_QUERY_PARAM"),
        ):
            refused = api.get("/v1/disputes", query)
            assert (refused.status_code, refused.code) == (400, code), query

    def test_of_payments_by_their_dispute(self, api, rows):
        shown = api.get("/v1/payment-intents", {"dispute_status": "lost,warning_needs_response"}).data
        assert {row["payment_intent_id"] for row in shown} == {
            rows["lost"].payment_intent_id,
            rows["inquiry"].payment_intent_id,
        }

    def test_it_takes_as_many_statements_for_any_number(self, api, environment, django_assert_num_queries):
        dispute(stories.paid_order(environment))
        api.get("/v1/disputes")
        with CaptureQueriesContext(connection) as one:
            api.get("/v1/disputes")
        for _ in range(3):
            dispute(stories.paid_order(environment))
        with django_assert_num_queries(len(one)):
            assert len(api.get("/v1/disputes").data) == 4


class TestStatements:
    """What is paid for truth is counted: a dispute costs what it costs, however many an environment has."""

    def test_learning_of_a_dispute(self, environment):
        counts = []
        for n in range(3):
            order = stories.paid_order(environment)
            with CaptureQueriesContext(connection) as taken:
                record(order, reference=f"dp_{n}", withdrawn_amount=10_000)
            counts.append(len(taken))
        assert len(set(counts)) == 1 and counts[0] <= 22, counts

    def test_a_refund_of_an_undisputed_payment_asks_nothing_about_disputes(self, api, order):
        with CaptureQueriesContext(connection) as made:
            assert api.post("/v1/refunds", {"order_id": order.id}).status_code == 201
        assert [query for query in made.captured_queries if "refunds_dispute" in query["sql"]] == []


def hidden_order_of(intent: str):
    return PaymentIntent.objects.select_related("order__environment").get(id=intent).order
