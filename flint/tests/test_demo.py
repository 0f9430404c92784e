"""`manage.py demo` for real: against a running installation, against one of its own, and against one that lies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from flint import crew, demo
from flint.home import Home
from flint.merchants import selectors, services
from flint.merchants.scopes import FULL_ACCESS
from refunds.services import sweep

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo"]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def place(live_server, settings) -> demo.Place:
    """An installation that serves, with a key to it. It has no worker: :class:`WithWorker` does that work."""
    settings.BASE_URL = live_server.url
    merchant = services.create_merchant(name="Corner Shop", email="owner@corner.example")
    _, secret = services.create_api_key(
        environment=selectors.default_sandbox(merchant.id), name="Demo", scopes=FULL_ACCESS
    )
    return demo.Place(live_server.url, secret)


class WithWorker(httpx.HTTPTransport):
    """Carries every request over, and sends what refunds wait, as a worker would meanwhile."""

    def handle_request(self, request):
        if request.method == "GET" and request.url.path.startswith("/v1/refunds/"):
            sweep()
        return super().handle_request(request)


class Liar(WithWorker):
    """Carries every answer over as it is, but for one amount of an order that has come to a status."""

    def __init__(self, group: str, name: str, payment_status: str):
        super().__init__()
        self.group, self.name, self.payment_status = group, name, payment_status

    def handle_request(self, request):
        response = super().handle_request(request)
        content = json.loads(response.read())
        data = content.get("data")
        order = data.get("order", data) if isinstance(data, dict) else {}
        if order.get("payment_status") == self.payment_status:
            order[self.group][self.name]["amount"] += 1
        return httpx.Response(response.status_code, json=content)


def play(place: demo.Place, transport: httpx.BaseTransport) -> tuple[bool, list[str]]:
    said: list[str] = []
    return demo.Demo(place, say=said.append, transport=transport).play(), said


@pytest.mark.django_db(transaction=True)
class TestAgainstWhatServes:
    def test_a_sale_passes_and_its_history_ends_at_nothing_owed(self, place):
        passed, said = play(place, WithWorker())
        assert passed, "\n".join(said)
        assert "PASS: 8 of 8 steps" in said[-1]
        history = [line.split() for line in said if line.strip()[:1].isdigit() and "of $" in line]
        assert history[-1][-1] == "$0.00"
        assert "Refund of $19.60 paid out" in " ".join(history[-1])

    @pytest.mark.parametrize(
        ("group", "name", "payment_status", "step"),
        [
            ("pricing_amounts", "tax_money", "unpaid", 1),
            ("settlement_amounts", "balance_money", "unpaid", 1),
            ("settlement_amounts", "paid_money", "paid", 5),
            ("settlement_amounts", "outstanding_money", "paid", 5),
        ],
    )
    def test_an_amount_that_is_off_by_a_cent_fails_and_is_named(self, place, group, name, payment_status, step):
        passed, said = play(place, Liar(group, name, payment_status))
        assert not passed
        assert f"FAIL: step {step} of 8" in said[-1]
        assert f"{group}.{name}: expected $" in said[-2]

    def test_a_key_that_does_not_work_fails(self, place, capsys):
        with pytest.raises(SystemExit) as end:
            call_command("demo", base_url=place.base_url, api_key=f"flint_test_{'0' * 64}")
        assert end.value.code == 1
        told = capsys.readouterr().out
        assert "answered 401, expected 201" in told
        assert "FAIL: step 1 of 8" in told

    def test_what_runs_on_a_data_folder_is_found_while_it_answers(self, place, tmp_path):
        home = Home(tmp_path / "data")
        home.create()
        assert demo.running_on(home) is None
        home.write(home.ready, place._asdict())
        assert demo.running_on(home) == place
        home.write(home.ready, {"base_url": NOBODY, "api_key": place.api_key})
        assert demo.running_on(home) is None
        home.write(home.ready, {"base_url": place.base_url})
        assert demo.running_on(home) is None


def test_nobody_there_fails_with_a_word_on_it(capsys):
    with pytest.raises(SystemExit) as end:
        call_command("demo", base_url=NOBODY, api_key=f"flint_test_{'0' * 64}")
    assert end.value.code == 1
    assert "differs: [Errno" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [{"base_url": NOBODY}, {"api_key": "flint_test_x"}, {"base_url": NOBODY, "api_key": f"flint_live_{'0' * 64}"}],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(CommandError):
        call_command("demo", **options)


def bare_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has set nothing up, but has a database that is none of the demo's business."""
    ours = ("FLINT_", "DATABASE_", "REDIS_", "DJANGO_", "PYTEST_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    away = {"DATABASE_URL": "postgresql://nowhere:1/x", "FLINT_DATA": str(tmp_path / "unused")}
    return inherited | away | {"TMPDIR": str(tmp_path)}


def test_with_nothing_running_it_starts_an_installation_and_leaves_nothing_of_it(tmp_path):
    played = subprocess.run(MANAGE, capture_output=True, text=True, env=bare_environment(tmp_path), timeout=300)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "starting an installation" in played.stdout
    assert "PASS: 8 of 8 steps" in played.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_ctrl_c_while_it_starts_leaves_nothing_either(tmp_path):
    player = subprocess.Popen(
        MANAGE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=bare_environment(tmp_path),
        # Whatever a shell starts in the background ignores Ctrl-C, and so would all that it starts in turn.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 180
    while not (folders := list(tmp_path.glob("*/data/postgres"))):
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.05)
    player.send_signal(signal.SIGINT)
    _, told = player.communicate(timeout=180)
    assert player.returncode == 1
    assert b"Traceback" not in told
    assert list(tmp_path.iterdir()) == []
    assert crew.strays(Home(folders[0].parent)) == []
