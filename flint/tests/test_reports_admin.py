"""Reports and closed months in the admin: asked for, watched, downloaded; closed with a preview and a reason."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from flint.celery import collecting
from flint.merchants.models import Role
from flint.reports.models import Report
from flint.testing import stories
from flint.testing.reports import COMMITTED, content_of, written
from flint.testing.staff import page, signed_in
from orders.models import PeriodClose
from orders.services.periods import finish_close, next_period
from orders.tests.test_periods import long_ago

pytestmark = pytest.mark.django_db(**COMMITTED)

REPORTS = "admin:reports_report"
MONTHS = "admin:orders_periodclose"


def asked(**change) -> dict[str, str]:
    today = timezone.now().date()
    return {
        "report_type": "orders_itemized_v1",
        "currency": "eur",
        "first_day": f"{today - timedelta(days=1)}",
        "last_day": f"{today}",
        "timezone": "UTC",
        "format": "csv",
    } | change


def test_from_the_form_to_the_file(environment, merchant):
    stories.paid_order(environment, total=4_200)
    browser = signed_in(merchant, Role.FINANCE, first_name="Fay", last_name="Nance")
    new = reverse(f"{REPORTS}_new", args=[environment.id])
    assert "Orders" in page(browser.get(new))
    with collecting() as tasks:
        sent = browser.post(new, asked())
    report = Report.objects.get()
    assert sent["Location"] == reverse(f"{REPORTS}_change", args=[report.id])
    assert [kwargs for _, kwargs in tasks] == [{"report_id": report.id}]
    waiting = page(browser.get(sent["Location"]))
    assert 'http-equiv="refresh"' in waiting and "0 rows so far" in waiting

    written(report)

    shown = page(browser.get(sent["Location"]))
    assert (
        'http-equiv="refresh"' not in shown
        and "data-follow=" not in shown
        and "42.00 EUR" in shown
        and "Fay Nance" in shown
    )
    file = browser.get(reverse(f"{REPORTS}_download", args=[report.id]))
    assert b"".join(file.streaming_content) == content_of(report)
    assert f"{report.id}" in page(browser.get(reverse(f"{REPORTS}_changelist")))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"currency": "QQQ"}, "not an ISO 4217 currency"),
        ({"first_day": "2020-01-01"}, "at most 400 days"),
        ({"last_day": f"{timezone.now().date() + timedelta(days=3)}"}, "not over yet"),
        ({"format": "beancount"}, "does not come in that format"),
        ({"first_day": "x"}, "Enter a valid date"),
    ],
)
def test_what_cannot_be_reported_is_said_on_the_form(environment, merchant, change, words):
    browser = signed_in(merchant, Role.FINANCE)
    answer = browser.post(reverse(f"{REPORTS}_new", args=[environment.id]), asked(**change))
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Report.objects.exists()


def test_one_that_does_not_add_up_says_so_on_its_page_and_on_the_first_one(environment, merchant):
    failed = Report.objects.create(
        environment=environment,
        report_type="journal_v1",
        currency="EUR",
        interval_start_at=timezone.now() - timedelta(days=2),
        interval_end_at=timezone.now() - timedelta(days=1),
        timezone="UTC",
        watermark=1,
    )
    failed.fail(reason="data_unavailable", problem="rows is 1 by its rows and 2 by the books", at=timezone.now())
    failed.save()
    browser = signed_in(merchant, Role.FINANCE)
    assert "rows is 1 by its rows" in page(browser.get(reverse(f"{REPORTS}_change", args=[failed.id])))
    assert "reports did not add up in the last week" in page(browser.get(reverse("admin:index")))


def test_a_month_is_closed_with_a_preview_and_a_reason(environment, merchant):
    stories.paid_order(environment, total=4_200)
    long_ago(environment, 40)
    period = next_period(environment.id)
    browser = signed_in(merchant, Role.FINANCE, first_name="Fay", last_name="Nance")
    where = reverse(f"{MONTHS}_close", args=[environment.id])
    assert where in page(browser.get(reverse(f"{MONTHS}_changelist")))
    assert "-42.00 EUR" in page(browser.get(where))
    refused = browser.post(where, {"label": period.label, "reason": ""})
    assert refused.status_code == 400 and not PeriodClose.objects.exists()

    with collecting():
        sent = browser.post(where, {"label": period.label, "reason": "Bank statement compared"})
        again = browser.post(where, {"label": period.label, "reason": "Bank statement compared"})

    close = PeriodClose.objects.get()
    assert sent["Location"] == reverse(f"{MONTHS}_change", args=[close.id])
    assert again.status_code == 400
    assert 'http-equiv="refresh"' in page(browser.get(sent["Location"]))
    finish_close(close.id)
    shown = page(browser.get(sent["Location"]))
    assert close.refresh_from_db() is None and close.status == "closed"
    assert "Fay Nance" in shown and "Bank statement compared" in shown and close.hashes["EUR"] in shown


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.DEVELOPER])
def test_who_may_not_close_a_month_does_not(environment, merchant, role):
    stories.paid_order(environment)
    long_ago(environment, 40)
    period = next_period(environment.id)
    browser = signed_in(merchant, role)
    where = reverse(f"{MONTHS}_close", args=[environment.id])
    assert browser.post(where, {"label": period.label, "reason": "Mine"}).status_code in (403, 404)
    assert browser.post(reverse(f"{REPORTS}_new", args=[environment.id]), asked()).status_code in (403, 404)
    assert not PeriodClose.objects.exists() and not Report.objects.exists()
