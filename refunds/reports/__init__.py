"""The reports about what went back, and about what waits for people in any room."""

from refunds.reports import given_back, work  # noqa: F401
