"""A browser for each process that runs these tests, and the page that a buyer opens in it."""

from flint.testing.browser import browser, chromium, shop, stripe_shop  # noqa: F401
