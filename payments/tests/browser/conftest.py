"""A browser for each process that runs these tests, and the shop that a buyer comes from."""

from flint.testing.browser import browser, chromium, shop, stripe_shop  # noqa: F401
