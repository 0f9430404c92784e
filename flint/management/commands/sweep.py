"""`manage.py sweep`: one pass of every sweep, at once instead of when the beat gets to it."""

import json
import sys
import traceback

from django.core.management.base import BaseCommand

from flint.celery import SWEEPS, app


class Command(BaseCommand):
    """Run everything that the beat runs, once and here, and say how much each had to do."""

    help = "Run every sweep once, and print how many rows each took up. Exit code 1 if one broke."

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    def handle(self, *, json: bool, **options):
        app.loader.import_default_modules()
        counts, errors = {}, {}
        for name in SWEEPS:
            try:
                counts[name] = app.tasks[name].run()
            except Exception as error:  # noqa: BLE001 - the others are run all the same, as they would be by the beat.
                errors[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc(file=sys.stderr)
        self.print_json(counts, errors) if json else self.print_table(counts, errors)
        if errors:
            sys.exit(1)

    def print_json(self, counts: dict, errors: dict) -> None:
        self.stdout.write(json.dumps({"counts": counts, "errors": errors}, indent=2))

    def print_table(self, counts: dict, errors: dict) -> None:
        width = max(map(len, SWEEPS))
        for name in SWEEPS:
            found = errors.get(name) or ("done" if counts[name] is None else counts[name])
            self.stdout.write(f"{name.ljust(width)}  {found}")
