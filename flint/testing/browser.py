"""
Tests in a real browser: headless Chromium, one for each process, against one live server there.

Debian's Chromium is used; ``FLINT_TEST_CHROMIUM`` names another one. Each state that a test shows is kept as a picture
in ``screenshots/``, which git ignores, for people to look at.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.client import ApiClient
from flint.testing.stories import wire

SCREENSHOTS = Path(settings.BASE_DIR) / "screenshots"
PATIENCE = 15_000
"""Milliseconds that anything may take on a busy machine. Nothing waits so long that goes well."""

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one browser of this process."""
    path = os.environ.get("FLINT_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    # Playwright's loop runs in the test's own thread, where Django would refuse to ask the database.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, and nothing but our own pages is opened.
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--force-prefers-no-reduced-motion"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Buyers:
    """Opens windows for buyers, each a device of its own, and closes them at the end."""

    def __init__(self, chromium: Browser, url: str):
        self.chromium, self.url, self.contexts = chromium, url, []
        self.complaints: list[str] = []

    def device(self, *, size: dict[str, int] = DESK, locale: str = "en-US", **options: Any) -> BrowserContext:
        """Return a browser that nobody has used yet."""
        context = self.chromium.new_context(viewport=size, locale=locale, base_url=self.url, **options)
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.contexts.append(context)
        return context

    def open(self, address: str, **options: Any) -> Page:
        """Open an address in a browser that nobody has used yet."""
        page = self.device(**options).new_page()
        page.on("console", self._hear)
        page.goto(address)
        return page

    def _hear(self, message: Any) -> None:
        # That a form was refused shows as an answer of 422, which Chromium notes as if it were an error.
        if message.type == "error" and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def close(self) -> None:
        """Close every window."""
        for context in self.contexts:
            context.close()


@pytest.fixture
def browser(chromium, live_server, settings) -> Iterator[Buyers]:
    """Buyers' devices. The test fails if a page complained: of an error in a script, or of what its policy forbids."""
    settings.BASE_URL = live_server.url
    buyers = Buyers(chromium, live_server.url)
    yield buyers
    buyers.close()
    assert buyers.complaints == []


class Shop:
    """What the merchant does meanwhile, through the API."""

    def __init__(self, api: ApiClient):
        self.api, self.environment = api, api.environment

    def order(self, *lines: tuple[str, int, int], currency: str = "EUR", **data: Any) -> str:
        """Create an order of lines of a name, a price and a quantity; return its id."""
        wanted = [
            {"name": name, "quantity": quantity, "unit_price_money": wire(Money(price, currency))}
            for name, price, quantity in lines or [("Espresso beans, 1 kg", 2_490, 2), ("Paper filters", 450, 1)]
        ]
        made = self.api.post("/v1/orders", {"line_items": wanted, **data})
        assert made.status_code == 201, made.content
        return made.data["order_id"]

    def session(self, order_id: str | None = None, **data: Any) -> dict[str, Any]:
        """Open a checkout session on an order, a new one unless it is given, and return it."""
        made = self.api.post("/v1/checkout-sessions", {"order_id": order_id or self.order(), **data})
        assert made.status_code == 201, made.content
        return made.data["checkout_session"]

    def read(self, session: dict[str, Any]) -> dict[str, Any]:
        """Return the session's order as it is now."""
        return self.api.get(f"/v1/orders/{session['order_id']}").data


@pytest.fixture
def shop(api) -> Shop:
    """A shop that collects through the sandbox."""
    return Shop(api)


@pytest.fixture
def stripe_shop(stripe_environment: Environment) -> Shop:
    """A shop that collects through the stand-in for Stripe."""
    from flint.testing.fixtures import client_of

    return Shop(client_of(stripe_environment))


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png", full_page=True)


def assert_accessible(page: Page) -> None:
    """Assert that axe finds nothing wrong on the page, and that nothing sticks out of its window."""
    found = Axe().run(page).response["violations"]
    told = [f"{each['id']}: {each['help']} {[node['html'][:120] for node in each['nodes']]}" for each in found]
    assert told == [], "\n".join(told)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page is wider than the window"
    )


@contextmanager
def counting_bytes(page: Page) -> Iterator[list[int]]:
    """Count what is transferred to a page inside the block, headers included."""
    sizes: list[int] = []
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    yield sizes
    client.detach()
