"""What a line of the log says by itself: ids of the request, the order, the leg, the task; and nothing of anybody."""

import json

import pytest
import structlog
from django.test import Client

from flint import celery, observing
from flint.celery import collecting
from flint.events.models import Event
from flint.observing import ids_among
from flint.testing import stories
from flint.testing.secrets import everything_logged
from payments import tasks
from payments.processors import processor_of
from payments.processors.sandbox.adapter import SandboxProcessor
from payments.tests.acts import DECLINED, going_wrong, pay

pytestmark = pytest.mark.django_db


def lines(written, event: str = "") -> list[dict]:
    found = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in found if not event or line["event"] == event]


class TestRequests:
    """Every line of one request can be found by its id, by its order, and by its environment."""

    def test_a_payment_is_told_from_the_request_to_the_processor_and_the_commit(
        self, api, environment, django_capture_on_commit_callbacks
    ):
        order = stories.open_order(environment)
        with everything_logged() as written, django_capture_on_commit_callbacks(execute=True):
            pay(api, order)

        leg = order.payment_intents.get()
        (call,) = [line for line in lines(written, "processor.call") if line["call"] == "confirm"]
        operation = leg.operations.get()
        assert (call["order_id"], call["payment_intent_id"], call["operation_id"]) == (order.id, leg.id, operation.id)
        assert (call["reference"], call["status"], call["outcome"]) == (operation.reference, "succeeded", "answered")
        assert call["processor"] == "sandbox" and call["ms"] > 0
        (answered,) = lines(written, "http.answered")
        assert answered["route"] == "/v1/orders/<str:order_id>/pay" and answered["status"] == 200
        request_id = answered["request_id"]
        assert call["request_id"] == request_id and call["environment_id"] == environment.id
        committed = lines(written, "event.committed")
        assert {line["type"] for line in committed} >= {"payment.started", "payment.settled"}
        assert {(line["request_id"], line["order_id"]) for line in committed} == {(request_id, order.id)}
        assert leg.id in {line["subject_id"] for line in committed}

    @pytest.mark.parametrize(
        ("fault", "outcome"), [("lose_answer", "no_answer"), ("unreachable", "unreachable"), ("refuse", "refused")]
    )
    def test_a_call_that_goes_wrong_says_how(self, api, environment, fault, outcome):
        order = stories.open_order(environment)
        with everything_logged() as written, going_wrong(order, on="confirm", fault=fault):
            pay(api, order)
        (call,) = [line for line in lines(written, "processor.call") if line["call"] == "confirm"]
        assert (call["outcome"], call["order_id"]) == (outcome, order.id)

    def test_nothing_of_one_request_sticks_to_the_next(self, api, environment):
        order = stories.open_order(environment)
        api.get(f"/v1/orders/{order.id}")
        assert structlog.contextvars.get_contextvars() == {}
        with everything_logged() as written:
            Client().get("/nothing")
        (line,) = lines(written, "http.answered")
        assert "order_id" not in line and "environment_id" not in line and "request_id" not in line
        assert line["route"] == "(none)" or line["route"].startswith("/<")

    def test_what_people_write_into_addresses_is_not_written_down(self, api):
        with everything_logged() as written:
            api.get("/v1/orders/ada@buyer.example", headers={"X-Request-Id": "req-1"})
            api.get("/v1/orders", {"query": "ada@buyer.example"})
        assert [line for line in lines(written) if "http." in line["event"] and "ada@" in json.dumps(line)] == []
        assert ids_among({"order_id": "ada@buyer.example", "note": "ord_01J00000000000000000000000"}) == {}

    def test_machines_that_ask_all_the_time_are_not_written_down(self):
        with everything_logged() as written:
            Client().get("/healthz")
            Client().get("/metrics")
        assert lines(written, "http.answered") == []


class TestTasks:
    """A task's lines say what it is about, and which request began it."""

    def test_a_task_goes_on_under_the_request_that_began_it(self):
        structlog.contextvars.bind_contextvars(request_id="req-1")
        assert observing.headers()["flint_request_id"] == "req-1"
        structlog.contextvars.clear_contextvars()
        assert observing.headers() == {}

    def test_a_worker_binds_and_lets_go(self, environment):
        """Run by Celery's own tracer, as a worker runs what a message's headers describe."""
        from celery.app.trace import build_tracer

        order = stories.open_order(environment)
        seen = {}

        @celery.app.task(name="tests.look", bind=True)
        def look(self, *, order_id):
            seen.update(structlog.contextvars.get_contextvars())

        structlog.contextvars.bind_contextvars(request_id="req-7")
        headers = observing.headers()
        structlog.contextvars.clear_contextvars()
        trace = build_tracer("tests.look", look, app=celery.app)
        trace("task-1", (), {"order_id": order.id}, {"id": "task-1", "is_eager": False, **headers})

        assert seen == {"task": "tests.look", "task_id": "task-1", "order_id": order.id, "request_id": "req-7"}
        assert structlog.contextvars.get_contextvars() == {}

    def test_a_message_carries_the_request(self, environment):
        published = []
        with celery.app.connection_for_write() as broker:
            structlog.contextvars.bind_contextvars(request_id="req-9")
            celery.publish(tasks.handle_notice, {"notice_id": "ntc_1"})
            structlog.contextvars.clear_contextvars()
            queue = broker.SimpleQueue("celery")
            while queue.qsize():
                message = queue.get_nowait()
                message.ack()
                published.append(message.headers)
            queue.close()
        assert [each for each in published if each.get("flint_request_id") == "req-9"]


class TestProcessors:
    """A watched processor is the processor."""

    def test_it_answers_to_everything_that_the_adapter_does(self, environment):
        watched = processor_of("sandbox")
        for name in dir(SandboxProcessor):
            if not name.startswith("_"):
                assert hasattr(watched, name)
        assert watched.is_configured(environment_id=environment.id)

    def test_a_decline_is_an_answer(self, api, environment):
        order = stories.open_order(environment)
        with everything_logged() as written:
            pay(api, order, DECLINED)
        (call,) = [line for line in lines(written, "processor.call") if line["call"] == "confirm"]
        assert (call["outcome"], call["status"]) == ("answered", "requires_payment_method")


def test_what_is_rolled_back_is_not_told(environment):
    from django.db import transaction

    with everything_logged() as written:
        try:
            with transaction.atomic(), collecting():
                stories.open_order(environment)
                raise KeyError("never mind")
        except KeyError:
            pass
    assert lines(written, "event.committed") == []
    assert not Event.objects.filter(type="order.created").exists()
