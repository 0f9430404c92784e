"""Verbs of reports: asking for one, writing it, handing it out, and erasing it when its time is over."""

from flint.reports.services.asking import create_report
from flint.reports.services.handing_out import erase_expired, signed_url
from flint.reports.services.running import run_report, sweep

__all__ = ["create_report", "erase_expired", "run_report", "signed_url", "sweep"]
