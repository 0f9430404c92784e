"""Where the examples are served, and where not."""

import json

import pytest
from django.test import Client

from flint.merchants.models import Environment
from flint.testing.fixtures import client_of

pytestmark = pytest.mark.django_db

PAGE = "/examples/embedded"


def test_without_a_key_there_are_none(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(settings.HOME, "seed", tmp_path / "seed.json")
    assert Client().get(PAGE).status_code == 404
    assert Client().post(f"{PAGE}/start").status_code == 404


def test_nor_with_a_key_that_is_live(settings, merchant):
    live = Environment.objects.get(merchant=merchant, kind="live")
    settings.EXAMPLE_API_KEY = client_of(live).secret
    assert Client().get(PAGE).status_code == 404


def test_the_demo_merchants_key_opens_them(settings, api, tmp_path, monkeypatch):
    monkeypatch.setattr(settings.HOME, "seed", tmp_path / "seed.json")
    settings.HOME.seed.write_text(json.dumps({"api_key": api.secret}))

    page = Client().get(PAGE)

    assert page.status_code == 200
    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    assert api.secret not in page.content.decode()


def test_a_browser_without_a_checkout_of_its_own_does_nothing(settings, api):
    settings.EXAMPLE_API_KEY = api.secret
    for verb in ("read", "pay", "resume", "close"):
        assert Client().post(f"{PAGE}/{verb}", {}, content_type="application/json").status_code == 404


def test_a_form_from_elsewhere_is_refused(settings, api):
    settings.EXAMPLE_API_KEY = api.secret
    buyer = Client(enforce_csrf_checks=True)
    assert buyer.post(f"{PAGE}/start", {}, content_type="application/json").status_code == 403
