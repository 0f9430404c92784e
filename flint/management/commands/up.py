"""`manage.py up`: the whole product on this machine, until Ctrl-C."""

import contextlib
import json
import logging
import os
import shutil
import signal
import time

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import Resolver404, resolve

from flint import crew, running
from flint.home import AlreadyRunning, Home
from flint.postgres import PostgresError
from flint.seed import seed

BANNER = """
Flint is ready.

  API            {base_url}/v1
  {places}
  API key        {api_key}
{staff}
Ask who you are, make an order, pay it:

  KEY={api_key}

  curl -s {base_url}/v1/developer/auth-context -H "X-API-Key: $KEY"

  ORDER=$(curl -s {base_url}/v1/orders -H "X-API-Key: $KEY" -H 'Content-Type: application/json' -d \\
    '{{"line_items": [{{"name": "Tea", "quantity": 2, "unit_price_money": {{"amount": 450, "currency": "EUR"}}}}]}}' \\
    | grep -o 'ord_[0-9A-Z]*' | head -1); echo $ORDER

  curl -s {base_url}/v1/orders/$ORDER/pay -H "X-API-Key: $KEY" -H 'Content-Type: application/json' \\
    -d '{{"action": "pay", "payment_source": {{"token": "pm_card_visa"}}}}'

Ctrl-C stops everything; the data stays in {data}, logs are in {data}/logs.
"""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLACES = {"admin": "/admin/", "API pages": "/docs", "API document": "/v1/openapi.json", "example": "/examples/embedded"}


class Command(BaseCommand):
    """Start what is missing, print where to look and what to type, keep it running, stop it without a trace."""

    help = "Run Flint on this machine: database, web server, worker and beat. Ctrl-C stops it."
    requires_system_checks = []

    def add_arguments(self, parser):
        running.add_arguments(parser)

    def handle(self, *, port: int, data: str, fresh: bool, no_seed: bool, **options):
        home = settings.HOME
        if str(home.path) != str(Home(data).path):
            raise CommandError("Start it as `python manage.py up`: the data folder must be known before the settings.")
        self.is_ending = False
        for name in SIGNALS:
            if name != signal.SIGHUP or signal.getsignal(name) != signal.SIG_IGN:  # As under nohup.
                signal.signal(name, self.interrupt)
        try:
            with home.locked():
                self.run(home, int(os.environ["FLINT_PORT"]), fresh=fresh, with_seed=not no_seed)
        except (AlreadyRunning, PostgresError, running.CannotRun) as error:
            raise CommandError(str(error)) from None

    def run(self, home: Home, port: int, *, fresh: bool, with_seed: bool) -> None:
        """Go through the whole life of one `up`."""
        is_embedded, database = settings.IS_EMBEDDED, home.database
        home.ready.unlink(missing_ok=True)
        crew.clear(home)
        # What processes measured that are gone; Prometheus knows how to go on from nothing.
        shutil.rmtree(home.path / "metrics", ignore_errors=True)
        running.check_port(port)
        if fresh:
            if not is_embedded:
                raise CommandError("--fresh deletes the embedded database only; DATABASE_URL names another one.")
            home.start_over()
        team = running.Crew(home, port=port, is_embedded=is_embedded, broker=settings.BROKER_URL)
        try:
            if is_embedded:
                self.say("Starting PostgreSQL")
                database.start()
            self.say("Migrating")
            call_command("migrate", interactive=False, verbosity=0)
            facts = self.seed(home) if with_seed else {}
            self.say("Starting web server, worker and beat")
            team.start()
            running.wait_until_ready(port, team)
            self.announce(home, facts)
            self.watch(home, team)
        except KeyboardInterrupt:
            pass
        finally:
            self.say("Stopping")
            home.ready.unlink(missing_ok=True)
            with contextlib.suppress(KeyboardInterrupt):  # A second Ctrl-C: do not wait for tasks to finish.
                team.stop()
            for name in SIGNALS:
                signal.signal(name, signal.SIG_IGN)
            crew.clear(home, grace=0)
            if is_embedded:
                database.stop()

    def seed(self, home: Home) -> dict:
        """Make the demo merchant, or find it; its key is stored as a hash, so what was told the first time is kept."""
        known = json.loads(home.seed.read_text()) if home.seed.exists() else {}
        if not known:
            self.say("Making a demo merchant")
        # Each of its sales would tell of itself, and bury what somebody who starts Flint is waiting to read.
        logging.disable(logging.INFO)
        try:
            facts = seed(known)
        finally:
            logging.disable(logging.NOTSET)
        home.write(home.seed, facts)
        return facts

    def announce(self, home: Home, facts: dict) -> None:
        """Say where everything is, to people and in ``ready.json``."""
        places = [f"{name:<14} {settings.BASE_URL}{path}" for name, path in PLACES.items() if is_served(path)]
        places += [f"{'an invoice':<14} {facts['invoice_url']}"] if facts.get("invoice_url") else []
        staff = [f"  {role:<14} {who['username']} / {who['password']}" for role, who in facts.get("staff", {}).items()]
        self.stdout.write(
            BANNER.format(
                base_url=settings.BASE_URL,
                places="\n  ".join(places),
                api_key=facts.get("api_key", "YOUR_KEY"),
                staff="\n".join(["", "  Staff, for the admin:", *staff, ""]) if staff else "",
                data=home.path,
            )
        )
        self.stdout.flush()
        home.write(home.ready, {"base_url": settings.BASE_URL, "pid": os.getpid(), **facts})

    def watch(self, home: Home, team: running.Crew) -> None:
        """Put back what is ended from outside, until asked to end."""
        while not self.is_ending:
            time.sleep(0.5)
            if settings.IS_EMBEDDED and not home.database.is_running():
                self.say("PostgreSQL ended, starting it again")
                home.database.start()
            if team.has_ended():
                self.say("The processes' keeper ended, starting all again")
                crew.clear(home)
                team.start()

    def interrupt(self, *_) -> None:
        """End, whatever is being done; remembered, because an exception may be lost in a callback of Python's own."""
        self.is_ending = True
        raise KeyboardInterrupt

    def say(self, text: str) -> None:
        """Print a line for whoever watches, if anybody still does."""
        with contextlib.suppress(OSError):
            self.stdout.write(f"  {text}")
            self.stdout.flush()


def is_served(path: str) -> bool:
    """Tell whether this install has a page at a path."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True
