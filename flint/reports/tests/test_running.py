"""Writing a report: one worker at a time, complete books only, and nothing left behind by whoever broke off."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from flint.celery import collecting
from flint.reports import services
from flint.reports.models import Report, ReportChunk
from flint.reports.registry import types
from flint.reports.services import running
from flint.reports.settling import is_settled, watermark
from flint.testing import stories
from flint.testing.reports import COMMITTED, content_of, made, written
from flint.testing.stories import actor_in
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db(**COMMITTED)


def ask(environment, **more) -> Report:
    at = timezone.now()
    wanted = {"currency": "EUR", "start": at - timedelta(days=30), "end": at, "actor": actor_in(environment)}
    return services.create_report(report_type="journal_v1", **(wanted | more))


def later(**more):
    return timezone.now() + timedelta(**more)


def test_two_workers_never_write_one_twice(environment):
    stories.paid_order(environment)
    report = ask(environment)
    start, ended = threading.Barrier(2), []

    def work():
        start.wait()
        ended.append(services.run_report(report.id, at=later(minutes=1)))
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert sorted(found is not None for found in ended) == [False, True]
    report.refresh_from_db()
    assert (report.status, report.attempts) == ("succeeded", 1)
    assert services.run_report(report.id, at=later(hours=1)) is None


def test_a_lost_task_is_found_by_the_sweep(environment):
    report = ask(environment)
    with collecting() as tasks:
        assert services.sweep(at=later(seconds=1)) == 0
        assert services.sweep(at=later(seconds=5)) == 1
    assert [kwargs for _, kwargs in tasks] == [{"report_id": report.id}]


def test_who_was_silent_for_too_long_writes_nothing_any_more(environment):
    stories.paid_order(environment)
    report = ask(environment)
    silent = running._take(report.id, later(minutes=1))
    assert services.run_report(report.id, at=later(minutes=1)) is None
    assert services.run_report(report.id, at=later(minutes=5)).status == "succeeded"
    content = content_of(report)

    store = running._Store(silent)
    store.write(b"from long ago")
    with pytest.raises(running.TakenOver):
        store.flush()

    assert content_of(report) == content


def test_a_worker_that_died_leaves_nothing_in_the_next_ones_file(environment):
    stories.paid_order(environment)
    report = ask(environment)
    dead = running._take(report.id, later(minutes=1))
    store = running._Store(dead)
    store.write(b"half of it")
    store.flush()
    assert ReportChunk.objects.count() == 1

    services.run_report(report.id, at=later(minutes=5))

    assert b"half of it" not in content_of(report)
    assert Report.objects.get().attempts == 2


def test_one_that_kills_every_worker_is_given_up(environment):
    report = ask(environment)
    for attempt in range(3):
        assert running._take(report.id, later(minutes=5 * (attempt + 1))) is not None
    assert services.run_report(report.id, at=later(hours=1)) is None
    report.refresh_from_db()
    assert (report.status, report.failure_reason) == ("failed", "generation_failed")


def test_a_passing_failure_is_tried_again(environment, monkeypatch):
    stories.paid_order(environment)
    report = ask(environment)
    journal = types()["journal_v1"]

    def broken(scope):
        yield next(journal.rows(scope))
        raise ConnectionError("the replica went away")

    monkeypatch.setitem(types.__globals__["_types"], "journal_v1", type(journal)(**vars(journal) | {"rows": broken}))
    assert services.run_report(report.id, at=later(minutes=1)) is None
    monkeypatch.undo()
    report.refresh_from_db()
    assert report.status == "pending"
    assert services.run_report(report.id, at=later(minutes=1)).status == "succeeded"


def test_the_books_are_read_once_all_that_belongs_to_them_is_committed(environment):
    """An entry dated within the interval, whose transaction is still open when the report is asked for."""
    written_down, go_on = threading.Event(), threading.Event()
    dated = []

    def slow():
        with transaction.atomic():
            stories.open_order(environment)
            dated.append(LedgerEntry.objects.get().created_at)
            written_down.set()
            go_on.wait(30)
        connections.close_all()

    worker = threading.Thread(target=slow)
    worker.start()
    try:
        written_down.wait(30)
        report = ask(environment, end=timezone.now())
        assert dated[0] < report.interval_end_at
        assert not is_settled(report.watermark, [LedgerEntry])
        assert services.run_report(report.id, at=later(minutes=1)) is None
    finally:
        go_on.set()
        worker.join()

    assert written(report).row_count == LedgerEntry.objects.count() == 1


def test_who_began_later_or_writes_elsewhere_keeps_nobody_waiting(environment):
    stories.open_order(environment)
    with transaction.atomic():
        mark = watermark()
    written_down, go_on = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            stories.open_order(environment)
            written_down.set()
            go_on.wait(30)
        connections.close_all()

    worker = threading.Thread(target=slow)
    worker.start()
    try:
        written_down.wait(30)
        with transaction.atomic():
            later_mark = watermark()
        assert is_settled(mark, [LedgerEntry])
        assert is_settled(later_mark, [Report])
        assert not is_settled(later_mark, [LedgerEntry])
    finally:
        go_on.set()
        worker.join()


def test_one_moment_is_read_however_long_it_takes(environment, monkeypatch):
    """What is committed while the rows go by is neither in the rows nor in the sums."""
    order = stories.open_order(environment)
    journal = types()["journal_v1"]

    def disturbed(scope):
        yield from journal.rows(scope)
        stories.pay(order)

    monkeypatch.setitem(types.__globals__["_types"], "journal_v1", type(journal)(**vars(journal) | {"rows": disturbed}))
    report = made(environment, "journal_v1", end=timezone.now())
    assert (report.status, report.row_count, LedgerEntry.objects.count()) == ("succeeded", 1, 2)


def test_a_report_cannot_write_where_it_reads(environment):
    with transaction.atomic(using="reports"), pytest.raises(Exception, match="read-only transaction"):
        running._freeze("reports")
        with connections["reports"].cursor() as cursor:
            cursor.execute("UPDATE reports_report SET row_count = 1")
    assert connection.settings_dict["NAME"] == connections["reports"].settings_dict["NAME"]
