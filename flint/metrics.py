"""
Metrics for Prometheus, at ``/metrics``. Two kinds, by who knows them.

**What the business did and what waits** is in the database, whichever process did it. It is read there at the time of
the scrape, by statements that an index answers, so that any web server speaks for every worker, a restart forgets
nothing, and no sale ever waits for a counter. Each room says what it has to tell in its ``metrics`` module, with
:func:`source`. Ask one server only for these: all give the same numbers.

**How requests went** is known only to the process that answered. With several of them on a machine, FLINT_METRICS_DIR
names a folder in which they keep their numbers side by side, so that any of them can tell the sum (the multi-process
mode of prometheus_client); Prometheus adds up machines.
"""

import hmac
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import autodiscover_modules
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

if settings.METRICS_DIR:
    # The library decides when it is first imported how it keeps its numbers.
    Path(settings.METRICS_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = settings.METRICS_DIR

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest  # noqa: E402
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

log = structlog.get_logger(__name__)

LOOPBACK = ("127.0.0.1", "::1")
PATIENCE_MS = 3_000
"""How long one source may keep a scrape waiting."""

ours = CollectorRegistry()
"""What this process knows by itself."""

http_seconds = Histogram(
    "flint_http_request_duration_seconds",
    "Time to answer a request, by method, route and status.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=ours,
)
processor_calls = Histogram(
    "flint_processor_call_duration_seconds",
    "Time that a processor took to answer a web server's call, by call and outcome.",
    ["processor", "call", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=ours,
)
tasks_lost = Counter(
    "flint_tasks_left_to_the_sweep",
    "Tasks that a web server could not hand to the broker; the sweep does their work later.",
    registry=ours,
)

Source = Callable[[], Iterable[Metric]]
_sources: dict[str, Source] = {}


def source(read: Source) -> Source:
    """Register a function that reads metrics from the database or the broker."""
    _sources[f"{read.__module__}.{read.__name__}"] = read
    return read


def gauge(name: str, text: str, values: dict[tuple[str, ...], float], labels: Iterable[str] = ()) -> Metric:
    """Make a gauge of values by their labels."""
    return _filled(GaugeMetricFamily(name, text, labels=list(labels)), values)


def counter(name: str, text: str, values: dict[tuple[str, ...], float], labels: Iterable[str] = ()) -> Metric:
    """Make a counter of values by their labels."""
    return _filled(CounterMetricFamily(name, text, labels=list(labels)), values)


def rows(sql: str, parameters: Iterable = ()) -> list[tuple]:
    """Return the rows of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, list(parameters))
        return cursor.fetchall()


@require_safe
@never_cache
def scrape(request: HttpRequest) -> HttpResponse:
    """
    Tell Prometheus everything: 200, also if a part cannot be asked; ``flint_metrics_source_up`` then says which.

    401 without the token that FLINT_METRICS_TOKEN names. Without one, only who is on the machine of an install that is
    for its own machine is answered, and everybody else is refused: 403.
    """
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
            refusal = HttpResponse("Send 'Authorization: Bearer' and the token.\n", "text/plain", status=401)
            refusal["WWW-Authenticate"] = "Bearer"
            return refusal
    elif not _is_at_home(request):
        return HttpResponse("Set FLINT_METRICS_TOKEN to be given metrics.\n", "text/plain", status=403)
    registry = CollectorRegistry()
    if settings.METRICS_DIR:
        MultiProcessCollector(registry, path=settings.METRICS_DIR)
    else:
        registry.register(ours)
    registry.register(Shared())
    return HttpResponse(generate_latest(registry), CONTENT_TYPE_LATEST)


class Shared:
    """What every process would tell alike."""

    def collect(self) -> Iterator[Metric]:
        """Ask each source in turn; one that cannot answer leaves out its own numbers only."""
        _load()
        up, took = {}, {}
        for name, read in sorted(_sources.items()):
            begun = time.monotonic()
            try:
                with transaction.atomic():
                    with connection.cursor() as cursor:
                        cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
                    found = list(read())
            except Exception as error:  # noqa: BLE001 - what is wrong with one part is itself among the metrics.
                log.warning("metrics.source_failed", source=name, error=type(error).__name__)
                found = []
                up[name,] = 0.0
            else:
                up[name,] = 1.0
            took[name,] = time.monotonic() - begun
            yield from found
        yield gauge("flint_metrics_source_up", "Whether a source of metrics could be asked.", up, ["source"])
        yield gauge("flint_metrics_source_seconds", "How long a source of metrics took.", took, ["source"])

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: to register should not read the database."""
        return []


def _filled(family, values: dict[tuple[str, ...], float]) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


@cache
def _load() -> None:
    autodiscover_modules("metrics")


def _is_at_home(request: HttpRequest) -> bool:
    # A proxy on the same machine makes everybody look like a neighbour, so its marks count against the caller.
    is_forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))
    is_private = urlsplit(settings.BASE_URL).hostname in ("localhost", "testserver", *LOOPBACK)
    return is_private and not is_forwarded and request.META.get("REMOTE_ADDR") in LOOPBACK


@source
def queues() -> Iterator[Metric]:
    """Tell how many tasks wait at the broker, whichever it is."""
    from flint.celery import app

    name = app.conf.task_default_queue
    with app.connection_for_read() as broker:
        broker.ensure_connection(max_retries=1, timeout=1)
        with broker.channel() as channel:
            waiting = channel.queue_declare(name).message_count
    yield gauge("flint_queue_depth", "Tasks that wait at the broker, by queue.", {(name,): waiting}, ["queue"])
