"""The settings' pages in a real browser, at a desk and on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import expect

from flint.merchants.models import Role
from flint.merchants.settings import section_of
from flint.merchants.settings.sections import sections
from flint.testing.browser import picture
from flint.testing.staff import signed_in

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture
def owner(merchant):
    return signed_in(merchant, Role.OWNER, first_name="Olive", last_name="Owner")


def assert_usable(page):
    """Assert that axe finds nothing serious in the part of the page that is ours, and that it fits its window."""
    found = Axe().run(page, context="main").response["violations"]
    told = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def open_as(browser, staff, where: str, size):
    device = browser.device(size=size)
    cookie = staff.cookies[settings.SESSION_COOKIE_NAME].value
    device.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": browser.url}])
    page = device.new_page()
    page.goto(where)
    return page


@pytest.mark.parametrize(("size", "device"), [(DESK, "desk"), (PHONE, "phone")], ids=["desk", "phone"])
def test_an_owner_chooses_colours_and_sees_them_before(browser, owner, environment, size, device):
    page = open_as(browser, owner, reverse("admin:merchants_settings_change", args=[environment.id]), size)
    page.get_by_role("link", name="Change Branding").click()

    page.get_by_label("Main colour", exact=True).fill("#ffe14d")

    button = page.locator(".fl-preview-button")
    expect(button).to_have_css("color", "rgb(0, 0, 0)")
    expect(page.get_by_role("status")).to_contain_text("cannot be seen on white")
    picture(page, f"settings branding {device}")
    assert_usable(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Branding: kept.")).to_be_visible()
    expect(page.get_by_text("Branding, Main colour: – → #ffe14d")).to_be_visible()
    picture(page, f"settings {device}")
    assert_usable(page)
    assert section_of(environment.id, "branding")["primary_color"] == "#ffe14d"


@pytest.mark.parametrize("name", sections)
def test_every_form_fits_a_phone(browser, owner, environment, name):
    where = f"{reverse('admin:merchants_settings_edit', args=[environment.id])}?section={name}"

    page = open_as(browser, owner, where, PHONE)

    picture(page, f"settings {name} phone")
    assert_usable(page)
