"""Disputes in the admin: what waits comes first, a page explains each, and who may decides, once and for a reason."""

from datetime import timedelta

import pytest
from django.urls import reverse

from flint.merchants import services
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import signed_in
from payments.tests.acts import nothing_moves
from refunds.models import Dispute
from refunds.tests.disputing import bank, dispute

LIST = "/admin/refunds/dispute/"


@pytest.fixture
def order(environment):
    return stories.paid_order(environment)


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, "finance", first_name="Fay", last_name="Ito")


def page(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def url_of(subject: Dispute, act: str = "change") -> str:
    return f"{LIST}{subject.id}/{act}/"


class TestShown:
    def test_the_order_tells_of_it(self, finance, order):
        stories.refund(order, amount_money=stories.eur(3_000))
        dispute(order, reason="fraudulent")

        shown = page(finance, reverse("admin:orders_order_change", args=[order.id]))

        for text in (
            "Chargeback: fraudulent",
            "Nothing can be collected on this order",
            "An answer is due by",
            "Beyond what the payment still held",
            "Nobody has decided yet",
            "Charged back",
            "Money withdrawn for a dispute, €30.00 of it beyond what the payment still held",
            "An answer to the dispute is asked for",
        ):
            assert text in shown, text

    def test_an_order_without_one_does_not(self, finance, order):
        assert "Disputes</h2>" not in page(finance, reverse("admin:orders_order_change", args=[order.id]))

    def test_what_needs_an_answer_comes_first_by_its_date(self, finance, environment):
        later, lost, sooner = (dispute(stories.paid_order(environment)) for _ in range(3))
        bank(lost, "lose")
        Dispute.objects.filter(id=sooner.id).update(evidence_due_at=sooner.evidence_due_at - timedelta(days=3))

        shown = page(finance, LIST)

        places = [shown.index(url_of(each)) for each in (sooner, later, lost)]
        assert places == sorted(places)

    @pytest.mark.parametrize(("work", "count"), [("answer", 1), ("decide", 2), ("loss", 1)])
    def test_it_is_filtered_by_what_is_left_to_do(self, finance, environment, work, count):
        dispute(stories.paid_order(environment))
        bank(dispute(stories.paid_order(environment), 10_500), "lose")
        bank(dispute(stories.paid_order(environment)), "win")

        shown = page(finance, f"{LIST}?work={work}")
        assert sum(url_of(each) in shown for each in Dispute.objects.all()) == count

    def test_the_work_list_names_them(self, finance, order):
        assert "disputes need an answer" not in page(finance, "/admin/")
        dispute(order)
        shown = page(finance, "/admin/")
        assert "disputes need an answer" in shown and "debts that disputes left need a decision" in shown

    def test_a_page_shows_its_money_step_by_step(self, finance, order):
        taken = bank(dispute(order), "reinstate", 2_500)
        shown = page(finance, url_of(taken))
        for text in ("Its money, step by step", "€100.00", "-€25.00", taken.reference, "Write off"):
            assert text in shown, text
        assert "Collect again" not in shown

    def test_an_order_is_found_by_its_dispute(self, finance, order):
        taken = dispute(order)
        assert order.order_number in page(finance, f"/admin/orders/order/?q={taken.id.lower()}")

    def test_the_list_is_read_in_a_fixed_number_of_statements(
        self, finance, environment, django_assert_max_num_queries
    ):
        dispute(stories.paid_order(environment))
        with django_assert_max_num_queries(14) as one:
            page(finance, LIST)
        for _ in range(3):
            dispute(stories.paid_order(environment))
        with django_assert_max_num_queries(len(one)):
            page(finance, LIST)


class TestDecided:
    def test_it_is_written_off_for_a_reason(self, finance, order):
        lost = bank(dispute(order), "lose")
        assert "Nobody owes this any more" in page(finance, url_of(lost, "write-off"))

        done = finance.post(url_of(lost, "write-off"), {"reason": "Too little to fight for"}, follow=True)

        assert "The debt is written off." in done.content.decode()
        assert not assert_books(order, credit=10_000, outstanding=0).is_collection_blocked
        event = order.events.get(type="dispute.written_off")
        assert (event.actor_kind, event.data["text"]) == ("staff", "Too little to fight for")
        assert "Too little to fight for" in page(finance, reverse("admin:orders_order_change", args=[order.id]))

    def test_it_is_collected_again(self, finance, order):
        lost = bank(dispute(order), "lose")
        done = finance.post(url_of(lost, "collect-again"), {"reason": "Paid by mistake"}, follow=True)
        assert "The order can be paid again." in done.content.decode()
        assert not assert_books(order, outstanding=10_000).is_collection_blocked

    def test_a_loss_is_noted_and_leaves_the_work_list(self, finance, order):
        taken = dispute(order, 10_320)
        assert "disputes took more than the payment held" in page(finance, "/admin/")
        assert "€3.20" in page(finance, url_of(taken, "note-loss"))

        done = finance.post(url_of(taken, "note-loss"), {"reason": "The rate moved"}, follow=True)

        assert "The loss is noted." in done.content.decode()
        assert "disputes took more than the payment held" not in page(finance, "/admin/")
        assert "Note the loss" not in page(finance, url_of(taken))

    def test_a_refusal_comes_back_on_the_form(self, finance, order):
        taken = dispute(order)
        with nothing_moves(order):
            for act, reason, text in (
                ("write-off", " ", "Say why"),
                ("collect-again", "Now", "The dispute is not lost"),
            ):
                refused = finance.post(url_of(taken, act), {"reason": reason})
                assert refused.status_code == 400 and text in refused.content.decode()

    def test_sent_twice_it_is_decided_once(self, finance, order):
        lost = bank(dispute(order), "lose")
        finance.post(url_of(lost, "write-off"), {"reason": "Gone"})
        with nothing_moves(order):
            again = finance.post(url_of(lost, "write-off"), {"reason": "Gone"})
        assert again.status_code == 400 and "Nothing is left to decide" in again.content.decode()


class TestAllowed:
    @pytest.mark.parametrize("role", ["support", "developer"])
    @pytest.mark.parametrize("act", ["write-off", "collect-again", "note-loss"])
    def test_who_may_read_may_not_decide(self, merchant, order, role, act):
        lost = bank(dispute(order), "lose")
        reader = signed_in(merchant, role)
        assert f"{act}/" not in page(reader, url_of(lost))
        with nothing_moves(order):
            assert reader.get(url_of(lost, act)).status_code == 403
            assert reader.post(url_of(lost, act), {"reason": "Mine"}).status_code == 403

    @pytest.mark.parametrize("act", ["change", "write-off", "collect-again"])
    def test_nothing_of_another_merchant(self, order, act):
        lost = bank(dispute(order), "lose")
        stranger = signed_in(services.create_merchant(name="Rival", email="owner@rival.example"), "owner")
        with nothing_moves(order):
            assert stranger.get(url_of(lost, act)).status_code == 404
            assert stranger.post(url_of(lost, act), {"reason": "Mine"}).status_code == 404
        assert lost.id not in page(stranger, LIST)

    @pytest.mark.parametrize(("act", "status"), [("change", 405), ("write-off", 405)])
    def test_other_methods(self, finance, order, act, status):
        lost = bank(dispute(order), "lose")
        with nothing_moves(order):
            assert finance.put(url_of(lost, act)).status_code == status
