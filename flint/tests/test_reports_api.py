"""Reports over HTTP: asked for, written, downloaded by a short-lived address, refused with the right code."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flint.events.models import Event
from flint.events.webhooks.registry import Fact, declaration_of
from flint.reports import services
from flint.reports.models import Report, ReportChunk
from flint.reports.registry import types
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.reports import COMMITTED, content_of, made, written

pytestmark = pytest.mark.django_db(**COMMITTED)

START = datetime(2026, 10, 1, tzinfo=UTC)
BODY = {
    "report_type": "journal_v1",
    "currency": "EUR",
    "interval_start_at": "2026-10-01T00:00:00Z",
    "interval_end_at": "2026-11-01T00:00:00Z",
}


def test_from_asking_to_the_file(api, environment):
    stories.paid_order(environment)
    now = timezone.now()
    body = BODY | {"interval_start_at": (now - timedelta(days=1)).isoformat(), "interval_end_at": now.isoformat()}

    asked = api.post("/v1/reports", body | {"timezone": "Europe/Berlin"})

    assert asked.status_code == 201
    assert asked.data["status"] == "pending"
    assert "download" not in asked.data and "failure_reason" not in asked.data
    report = Report.objects.get(id=asked.data["report_id"])
    written(report)
    found = api.get(f"/v1/reports/{report.id}").data
    assert found["status"] == "succeeded"
    assert found["timezone"] == "Europe/Berlin"
    lasting = found["download"]["url"]
    assert lasting == f"http://testserver/v1/report-downloads/{found['download']['report_download_id']}"
    led = api.get(lasting.removeprefix("http://testserver"))
    assert led.status_code == 307
    file = Client().get(led["Location"])
    assert file.status_code == 200
    assert file["Content-Type"].startswith("text/csv")
    content = b"".join(file.streaming_content)
    assert content == content_of(report)
    assert int(file["Content-Length"]) == len(content)
    assert api.get("/v1/reports").data == [found]


def test_one_wish_is_one_report(api):
    first = api.post("/v1/reports", BODY, key="monthly")
    again = api.post("/v1/reports", BODY, key="monthly")
    assert first.data == again.data
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"report_type": "gift_card_liability_v1"}, "INVALID_REPORT_TYPE"),
        ({"currency": "eur"}, "INVALID_CURRENCY"),
        ({"currency": "QQQ"}, "INVALID_CURRENCY"),
        ({"timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"format": "pdf"}, "INVALID_REPORT_FORMAT"),
        ({"interval_start_at": "yesterday"}, "INVALID_INTERVAL_START_AT"),
        ({"interval_end_at": "tomorrow"}, "INVALID_INTERVAL_END_AT"),
        ({"interval_end_at": "2026-10-01T00:00:00Z"}, "INVALID_REPORT_INTERVAL"),
        ({"interval_start_at": "2025-01-01T00:00:00Z"}, "REPORT_INTERVAL_TOO_LARGE"),
        ({"interval_end_at": "2026-11-30T00:00:00Z", "interval_start_at": "2026-11-29T00:00:00Z"}, None),
    ],
)
def test_what_cannot_be_asked_for(api, change, code):
    if code is None:
        later = timezone.now() + timedelta(hours=1)
        change, code = {"interval_end_at": later.isoformat()}, "REPORT_INTERVAL_INCOMPLETE"
        change["interval_start_at"] = (later - timedelta(days=1)).isoformat()
    response = api.post("/v1/reports", BODY | change)
    assert (response.status_code, response.code) == (400, code)
    assert not Report.objects.exists()


def test_only_so_many_at_a_time(api, other_api):
    for _ in range(5):
        assert api.post("/v1/reports", BODY).status_code == 201
    refused = api.post("/v1/reports", BODY)
    assert (refused.status_code, refused.code) == (429, "TOO_MANY_PENDING_REPORTS")
    assert other_api.post("/v1/reports", BODY).status_code == 201
    assert Report.objects.count() == 6


def test_reading_needs_to_read_and_asking_needs_to_write(environment):
    reader = client_of(environment, scopes=["reports.read"])
    assert reader.get("/v1/reports").status_code == 200
    assert reader.post("/v1/reports", BODY).code == "INSUFFICIENT_SCOPE"
    stranger = client_of(environment, scopes=["commerce.orders.read"])
    assert stranger.get("/v1/reports").code == "INSUFFICIENT_SCOPE"


def test_nothing_of_somebody_else_is_found(environment, other_api):
    report = made(environment, "journal_v1")
    assert other_api.get(f"/v1/reports/{report.id}").code == "REPORT_NOT_FOUND"
    assert other_api.get(f"/v1/report-downloads/{report.download.id}").status_code == 404
    assert other_api.get("/v1/reports").data == []


def test_an_address_is_good_for_some_minutes_only(environment, monkeypatch):
    report = made(environment, "journal_v1")
    address = services.signed_url(report.download)
    assert Client().get(address).status_code == 200
    assert Client().get(address[:-1] + ("A" if address[-1] != "A" else "B")).status_code == 403
    monkeypatch.setattr("django.core.signing.time.time", lambda: timezone.now().timestamp() + 301)
    assert Client().get(address).status_code == 403


def test_a_file_is_erased_when_its_time_is_over_and_the_report_stays(api, environment):
    report = made(environment, "journal_v1")
    address = services.signed_url(report.download)
    assert services.erase_expired(at=timezone.now() + timedelta(days=29)) == 0
    assert services.erase_expired(at=timezone.now() + timedelta(days=31)) == 1
    assert not ReportChunk.objects.exists()
    gone = api.get(f"/v1/report-downloads/{report.download.id}")
    assert (gone.status_code, gone.code) == (410, "REPORT_DOWNLOAD_EXPIRED")
    assert Client().get(address).status_code == 410
    assert api.get(f"/v1/reports/{report.id}").data["content_sha256"] == report.content_sha256


def test_its_end_is_told_with_all_that_the_api_shows(api, environment):
    report = made(environment, "journal_v1")
    event = Event.objects.get(type="report.succeeded")
    assert (event.subject_type, event.subject_id) == ("report", report.id)
    told = declaration_of("report.succeeded").compose(Fact(event))
    shown = api.get(f"/v1/reports/{report.id}").data
    assert set(told) == set(shown)
    assert told["download"]["url"] == shown["download"]["url"]


def test_a_report_that_would_be_too_large_fails_and_keeps_nothing(environment):
    stories.paid_order(environment)
    report = made(environment, "journal_v1", end=timezone.now())
    assert report.row_count == 2
    asked = services.create_report(
        report_type="journal_v1",
        currency="EUR",
        start=report.interval_start_at,
        end=report.interval_end_at,
        actor=stories.actor_in(environment),
    )
    services.run_report(asked.id, at=timezone.now() + timedelta(minutes=1), most_rows=1)
    asked.refresh_from_db()
    assert (asked.status, asked.failure_reason) == ("failed", "limit_exceeded")
    assert not asked.chunks.exists()
    assert Event.objects.filter(type="report.failed", subject_id=asked.id).count() == 1


@pytest.mark.parametrize("report_type", sorted(types()))
def test_every_type_can_be_asked_for_and_is_written_when_there_is_nothing(api, environment, report_type):
    asked = api.post("/v1/reports", BODY | {"report_type": report_type})
    report = written(Report.objects.get(id=asked.data["report_id"]))
    assert (report.status, report.row_count, report.problem) == ("succeeded", 0, "")
