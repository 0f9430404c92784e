"""What Prometheus is told, by whom it may be asked, and that no number costs a sale anything."""

import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import celery
from flint.celery import app
from flint.events.models import Event, EventTally
from flint.events.tallying import first_id_at, tally_events
from flint.testing import stories
from flint.testing.stories import deliver_notices
from payments import inbound
from payments.models import ProcessorNotice
from payments.models.reconciling import ReconcileDifference
from payments.processors.sandbox import notices
from payments.tests.acts import DECLINED, at_once, going_wrong, later, pay

pytestmark = pytest.mark.django_db

TOKEN = "a-token-that-only-prometheus-knows"


def told(**headers: str) -> dict[str, float]:
    """Return what a scrape tells, by name and labels."""
    response = Client().get("/metrics", headers=headers)
    assert response.status_code == 200, response.content
    lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def counted(at=None) -> dict[str, float]:
    tally_events(at=at or later(minutes=2))
    return told()


class TestAccess:
    """Numbers about a business are not for everybody."""

    def test_with_a_token_only_who_has_it_is_told(self, settings):
        settings.METRICS_TOKEN = TOKEN
        assert told(authorization=f"Bearer {TOKEN}")
        for given in ("", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, f"bearer {TOKEN[:-1]}é"):
            refused = Client().get("/metrics", headers={"authorization": given})
            assert (refused.status_code, b"flint_" in refused.content) == (401, False), given

    @pytest.mark.parametrize(
        ("base_url", "address", "headers", "status"),
        [
            ("http://localhost:8000", "127.0.0.1", {}, 200),
            ("http://localhost:8000", "::1", {}, 200),
            ("http://localhost:8000", "10.0.0.7", {}, 403),
            ("http://localhost:8000", "127.0.0.1", {"x-forwarded-for": "203.0.113.9"}, 403),
            ("http://localhost:8000", "127.0.0.1", {"forwarded": "for=203.0.113.9"}, 403),
            ("https://pay.example.com", "127.0.0.1", {}, 403),
            ("https://pay.example.com", "10.0.0.7", {}, 403),
        ],
    )
    def test_without_a_token_only_the_machine_of_a_private_install_is_told(
        self, settings, base_url, address, headers, status
    ):
        settings.BASE_URL = base_url
        assert Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code == status

    def test_it_is_only_read(self):
        assert Client().post("/metrics").status_code == 405


class TestBusiness:
    """What happened is counted once, from what was committed."""

    def test_payments_and_refunds_are_told_by_outcome(self, api, environment):
        order = stories.open_order(environment)
        pay(api, order, DECLINED)
        pay(api, order)
        stories.refund(order, amount_money=stories.eur(1_000))

        numbers = counted()

        assert numbers['flint_payment_outcomes_total{mode="test",outcome="settled"}'] == 1
        assert numbers['flint_payment_outcomes_total{mode="test",outcome="failed"}'] == 1
        assert numbers['flint_refund_outcomes_total{mode="test",outcome="succeeded"}'] == 1
        assert numbers['flint_events_total{mode="test",type="order.created"}'] == 1
        assert not [name for name in numbers if 'mode="live"' in name]

    def test_nothing_is_counted_twice_or_too_early_and_batches_make_no_difference(self, environment):
        stories.paid_order(environment)
        total = Event.objects.count()
        assert tally_events() == 0
        assert tally_events(at=later(minutes=2), batch=2) == total
        assert tally_events(at=later(minutes=2)) == 0
        stories.paid_order(environment)
        assert tally_events(at=later(minutes=2)) == total
        by_type = dict(EventTally.objects.values_list("type", "count"))
        assert by_type == {type: Event.objects.filter(type=type).count() for type in by_type}
        assert sum(by_type.values()) == 2 * total

    @pytest.mark.django_db(transaction=True)
    def test_of_several_workers_who_count_at_once_each_event_is_counted_by_one(self, environment):
        for _ in range(3):
            stories.paid_order(environment)
        total = Event.objects.count()
        at = later(minutes=2)
        done = at_once(*[lambda: tally_events(at=at, batch=1)] * 4)
        assert sum(done) + tally_events(at=at) == total
        assert sum(EventTally.objects.values_list("count", flat=True)) == total

    def test_the_first_id_of_a_moment_is_between_those_before_and_after(self, environment):
        stories.open_order(environment)
        event = Event.objects.order_by("id")[0]
        assert first_id_at(event.created_at - timedelta(seconds=1)) < event.id
        assert event.id < first_id_at(event.created_at + timedelta(seconds=1))

    def test_what_is_not_known_is_told_by_age(self, api, environment):
        order = stories.open_order(environment)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        assert told()['flint_unknown_payment_calls{age="<1m",kind="confirm"}'] == 1
        with connection.cursor() as cursor:
            cursor.execute("UPDATE payments_paymentoperation SET created_at = created_at - interval '5 minutes'")
        assert told()['flint_unknown_payment_calls{age="1m-10m",kind="confirm"}'] == 1
        deliver_notices(environment)
        assert not [name for name in told() if name.startswith("flint_unknown_payment_calls{")]

    def test_refunds_that_are_not_known_are_told(self, environment):
        order = stories.paid_order(environment)
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order)
        assert told()['flint_unknown_refund_calls{age="<1m"}'] == 1

    def test_notices_are_told_by_what_is_left_to_do(self, environment):
        notices.write(environment.id, "payment.succeeded", "payment", "sbp_lost", at=timezone.now())
        deliver_notices(environment, handled=False)
        ProcessorNotice.objects.update(created_at=later(minutes=-1))
        numbers = told()
        assert numbers['flint_notices_open{processor="sandbox",status="received"}'] == 1
        assert 59 < numbers["flint_notices_oldest_waiting_seconds"] < 90
        inbound.handle_waiting(at=later(minutes=3))
        numbers = told()
        assert numbers["flint_notices_for_people"] == 1
        assert numbers["flint_notices_oldest_waiting_seconds"] == 0

    def test_the_lag_of_notices_is_told(self, environment):
        order = stories.paid_order(environment)
        deliver_notices(environment)
        assert order and ProcessorNotice.objects.filter(status="handled").update(created_at=later(seconds=-8))
        numbers = told()
        assert numbers["flint_notices_handled_lately"] == ProcessorNotice.objects.filter(status="handled").count()
        assert 6 < numbers['flint_notice_lag_seconds{of="average"}'] < 60

    def test_differences_to_a_processors_books_are_told(self, environment):
        seen = {"first_seen_at": timezone.now(), "last_seen_at": timezone.now()}
        facts = {"environment": environment, "processor": "sandbox", "kind": "payment", "problem": "missing", **seen}
        ReconcileDifference.objects.create(reference="sbp_1", text="It is not there.", **facts)
        ReconcileDifference.objects.create(reference="sbp_2", text="It was.", resolved_at=timezone.now(), **facts)
        assert told()['flint_reconcile_differences_open{kind="payment",problem="missing"}'] == 1

    def test_the_queue_is_told(self):
        before = told()['flint_queue_depth{queue="celery"}']
        with app.connection_for_write() as broker:
            app.send_task("nobody.takes.this", connection=broker)
        assert told()['flint_queue_depth{queue="celery"}'] == before + 1
        with app.connection_for_write() as broker:
            broker.default_channel.queue_purge("celery")

    def test_a_part_that_cannot_be_asked_leaves_out_its_own_numbers_only(self, monkeypatch):
        monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1")
        monkeypatch.setattr(app, "connection_for_read", lambda: app.connection("redis://127.0.0.1:1"))
        numbers = told()
        assert numbers['flint_metrics_source_up{source="flint.metrics.queues"}'] == 0
        assert numbers['flint_metrics_source_up{source="payments.metrics.notices"}'] == 1
        assert not [name for name in numbers if name.startswith("flint_queue_depth")]

    def test_a_scrape_takes_as_many_statements_however_much_there_is(self, environment):
        def statements() -> int:
            with CaptureQueriesContext(connection) as captured:
                told()
            return len(captured)

        stories.paid_order(environment)
        deliver_notices(environment)
        few = statements()
        for _ in range(3):
            stories.paid_order(environment)
        deliver_notices(environment)
        assert statements() == few


class TestRequests:
    """How requests went, in series that ids do not multiply."""

    def test_a_request_is_measured_under_its_pattern(self, api, environment):
        first, second = stories.open_order(environment), stories.open_order(environment)
        name = 'flint_http_request_duration_seconds_count{method="GET",route="/v1/orders/<str:order_id>",status="200"}'
        before = told().get(name, 0)
        for order in (first, second):
            assert api.get(f"/v1/orders/{order.id}").status_code == 200
        numbers = told()
        assert numbers[name] == before + 2
        assert not [each for each in numbers if first.id in each]

    def test_addresses_and_methods_that_do_not_exist_make_one_series(self):
        for number in range(3):
            Client().get(f"/nothing/{number}")
            Client().generic(f"ODD{number}", "/healthz")
        routes = {found for name in told() for found in re.findall(r'route="([^"]*)"', name)}
        assert not [route for route in routes if "nothing" in route]
        methods = {found for name in told() for found in re.findall(r'method="([^"]*)"', name)}
        assert "other" in methods and "ODD1" not in methods

    def test_a_task_that_the_broker_did_not_take_is_counted(self, monkeypatch):
        before = told()["flint_tasks_left_to_the_sweep_total"]
        monkeypatch.setattr(celery.app, "amqp", None)
        publisher = celery.Publisher()
        from payments import tasks

        publisher(tasks.sweep, {})
        assert told()["flint_tasks_left_to_the_sweep_total"] == before + 1

    def test_several_processes_tell_their_sum(self, tmp_path):
        """Two web processes answer requests; a third one is asked."""
        program = (
            "import os, django; django.setup()\n"
            "from flint import metrics\n"
            "from prometheus_client import CollectorRegistry, generate_latest\n"
            "from prometheus_client.multiprocess import MultiProcessCollector\n"
            "metrics.http_seconds.labels('GET', '/healthz', '200').observe(0.2)\n"
            "registry = CollectorRegistry(); MultiProcessCollector(registry)\n"
            "print(generate_latest(registry).decode())\n"
        )
        environ = {**os.environ, "FLINT_METRICS_DIR": str(tmp_path / "metrics")}
        said = [
            subprocess.run(
                [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
            ).stdout
            for _ in range(3)
        ]
        name = 'flint_http_request_duration_seconds_count{method="GET",route="/healthz",status="200"} '
        assert [re.search(re.escape(name) + r"(\S+)", each)[1] for each in said] == ["1.0", "2.0", "3.0"]
