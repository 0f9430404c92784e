"""`manage.py demo`: a whole sale over HTTP, with every amount checked."""

import signal
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from flint import demo
from flint.home import Home


class Command(BaseCommand):
    """Play a sale against an installation: the one named, the one that runs here, or one of its own."""

    help = "Play a whole sale over HTTP and check every amount; exit code 0 only if all is as expected."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--base-url", help="an installation, such as https://pay.example.com; needs --api-key")
        parser.add_argument("--api-key", help="a test key of it: flint_test_…")
        parser.add_argument("--data", metavar="DIR", help="data folder of the installation here; default: %(default)s")
        parser.set_defaults(data=str(Home.of_environment().path))

    def handle(self, *, base_url: str | None, api_key: str | None, data: str, **options):
        if bool(base_url) != bool(api_key):
            raise CommandError("--base-url and --api-key go together.")
        if api_key and not api_key.startswith("flint_test_"):
            raise CommandError("The demo pays with test cards: give it a test key (flint_test_…), not a live one.")
        place = demo.Place(base_url.rstrip("/"), api_key) if base_url else demo.running_on(Home(Path(data)))
        try:
            passed = self.play(place) if place else self.play_on_its_own(data)
        except demo.CannotPlay as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped.") from None
        if not passed:
            sys.exit(1)

    def play(self, place: demo.Place) -> bool:
        return demo.Demo(place, say=self.say).play()

    def play_on_its_own(self, data: str) -> bool:
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, interrupt)
        self.say(f"Nothing runs on {data}: starting an installation for the length of the demo.")
        with demo.started() as place:
            return self.play(place)

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def interrupt(*_) -> None:
    """Treat being asked to end like Ctrl-C, so that what was started is stopped."""
    raise KeyboardInterrupt
