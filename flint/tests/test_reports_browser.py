"""Reports in a real browser: finance asks, waits, downloads and closes a month, at a desk and on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Page

from flint.celery import collecting
from flint.merchants.models import Role
from flint.reports.models import Report
from flint.testing import stories
from flint.testing.browser import DESK, picture
from flint.testing.reports import COMMITTED, content_of, written
from flint.testing.staff import signed_in
from orders.models import PeriodClose
from orders.services.periods import finish_close
from orders.tests.test_periods import long_ago

pytestmark = pytest.mark.django_db(**COMMITTED)

SERIOUS = ("serious", "critical")


def assert_nothing_serious(page: Page) -> None:
    """Assert that axe finds nothing serious. That the theme's frame lacks landmarks is the theme's affair."""
    found = [each for each in Axe().run(page).response["violations"] if each["impact"] in SERIOUS]
    assert found == [], [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the window"


HAND = {"width": 390, "height": 844}


@pytest.mark.parametrize("size", [DESK, HAND], ids=["1280", "390"])
def test_finance_asks_waits_downloads_and_closes(browser, live_server, environment, merchant, size):
    order = stories.paid_order(environment, stories.line(6_000, name="Espresso beans"), stories.line(4_000))
    stories.refund(order, amount_money=stories.eur(2_500))
    long_ago(environment, 40)
    finance = signed_in(merchant, Role.FINANCE, first_name="Fay", last_name="Nance")
    device = browser.device(size=size)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": finance.cookies[settings.SESSION_COOKIE_NAME].value}
    device.add_cookies([{**cookie, "url": live_server.url}])
    page = device.new_page()

    def show(name: str) -> None:
        assert_nothing_serious(page)
        picture(page, f"reports {name} {size['width']}")

    with collecting():
        page.goto(reverse("admin:reports_report_changelist"))
        show("list empty")
        page.get_by_role("link", name="Default sandbox").click()
        page.get_by_label("Report", exact=True).select_option("journal_v1")
        page.get_by_label("Currency").fill("EUR")
        show("new")
        page.get_by_role("button", name="Write it").click()
        page.get_by_text("rows so far").wait_for()
        show("waiting")
        report = written(Report.objects.get())
        assert (report.status, report.row_count, report.problem) == ("succeeded", 6, "")
        page.get_by_role("heading", name="Control totals").wait_for()
        show("done")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == content_of(report)
        page.goto(reverse("admin:reports_report_changelist"))
        show("list")

        page.goto(reverse("admin:orders_periodclose_changelist"))
        page.get_by_role("link", name="Close 20").first.click()
        show("close month")
        page.get_by_label("What was checked").fill("Compared with the bank's statement")
        page.get_by_role("button", name="for good").click()
        page.get_by_text("Being closed").wait_for()
        assert finish_close(PeriodClose.objects.get().id).status == "closed"
        page.get_by_text("Hash of its journal").wait_for()
        show("closed month")
        page.goto(reverse("admin:orders_periodclose_changelist"))
        show("closed months")
