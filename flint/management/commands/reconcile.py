"""`manage.py reconcile`: compare our books with the processor's now, and show what differs."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime

from flint import actors
from flint.errors import FlintError
from flint.merchants.models import Environment
from payments.models import ReconcileDifference, ReconcileRun
from payments.reconciling.runs import begin_run, carry_out, is_comparable

SHOWN = 200


class Command(BaseCommand):
    """Compare one environment, or all of them. Imports what can be booked; moves no money."""

    help = (
        "Compare payments, refunds and all else with the processor, both ways. Imports what was done there, and lists "
        "what differs. Exit code 1 while differences remain or a comparison broke off."
    )

    def add_arguments(self, parser):
        parser.add_argument("--environment", metavar="ID", help="only this one; default: all with a processor")
        parser.add_argument("--since", metavar="TIME", help="ISO 8601; default: the last complete run, at least 3 days")
        parser.add_argument("--until", metavar="TIME", help="ISO 8601, exclusive; default: now")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")

    def handle(self, *, environment: str | None, since: str | None, until: str | None, json: bool, **options):
        window = {name: _moment(text) for name, text in (("since", since), ("until", until)) if text}
        found = [self.compare(each, window) for each in self.environments(environment)]
        if json:
            self.print_json(found)
        else:
            self.print_tables(found)
        if any(each["status"] != "succeeded" or each["open_differences"] for each in found):
            sys.exit(1)

    def environments(self, wanted: str | None) -> list[Environment]:
        rows = Environment.objects.select_related("merchant").order_by("id")
        if wanted is None:
            return [each for each in rows if is_comparable(each)]
        try:
            return [rows.get(id=wanted)]
        except Environment.DoesNotExist:
            raise CommandError(f"There is no environment {wanted}.") from None

    def compare(self, environment: Environment, window: dict[str, datetime]) -> dict[str, Any]:
        actor = actors.system(environment.id, "Command line")
        try:
            run = begin_run(environment_id=environment.id, actor=actor, by_task=False, **window)
        except FlintError as refusal:
            raise CommandError(f"{environment}: {refusal.message}") from None
        run = carry_out(run.id) or ReconcileRun.objects.get(id=run.id)
        rows = ReconcileDifference.objects.filter(environment=environment).open().order_by("kind", "id")
        return {
            "environment": environment.id,
            "name": str(environment),
            "run": run.id,
            "status": str(run.status),
            "error": run.error,
            "since": run.since.isoformat(),
            "until": run.until.isoformat(),
            "counts": run.counts,
            "open_differences": rows.count(),
            "differences": [_difference(row) for row in rows[:SHOWN]],
        }

    def print_json(self, found: list[dict[str, Any]]) -> None:
        self.stdout.write(json.dumps({"environments": found}, indent=2))

    def print_tables(self, found: list[dict[str, Any]]) -> None:
        for each in found:
            self.stdout.write(f"{each['name']} ({each['environment']})  {each['since']} to {each['until']}")
            self.stdout.write(f"  {'':10}{'compared':>10}{'imported':>10}{'differing':>11}")
            for kind, counts in each["counts"].items():
                if counts.get("unavailable"):
                    self.stdout.write(f"  {kind:10}not listed by the processor")
                else:
                    self.stdout.write(
                        f"  {kind:10}{counts['compared']:>10}{counts['imported']:>10}{counts['differing']:>11}"
                    )
            if each["status"] == "failed":
                self.stdout.write(f"  It broke off: {each['error']} The next one goes on from there.")
            elif each["status"] == "running":
                self.stdout.write("  A worker has taken it over; it is still running.")
            self.stdout.write(f"  Open differences: {each['open_differences']}")
            for row in each["differences"]:
                amounts = " ".join(f"{name} {row[name]}" for name in ("here", "there") if row[name])
                self.stdout.write(f"    {row['kind']} {row['reference']}  {row['text']}  {amounts}".rstrip())
            if each["open_differences"] > SHOWN:
                self.stdout.write(f"    and {each['open_differences'] - SHOWN} more; see the admin")
        if not found:
            self.stdout.write("No environment has a processor to compare with.")


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
        if moment is None and (date := parse_date(text)):
            moment = datetime(date.year, date.month, date.day)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text} is not a time. Write it like 2026-09-07 or 2026-09-07T12:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _difference(row: ReconcileDifference) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "reference": row.reference,
        "problem": row.problem,
        "text": row.text,
        "here": row.our_money.text() if row.our_money else None,
        "there": row.their_money.text() if row.their_money else None,
        "order": row.order_id,
        "first_seen": row.first_seen_at.isoformat(),
        "last_seen": row.last_seen_at.isoformat(),
    }
