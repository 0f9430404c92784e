"""Lists: pages by keyset, filters, sorting, and tokens that fit one list only."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.merchants import services
from flint.merchants.models import Environment


@pytest.fixture
def shops(merchant, environment):
    """The merchant's two environments and ten more sandboxes; pairs of them made in the same instant."""
    for index in range(10):
        services.create_sandbox(merchant_id=merchant.id, name=f"Shop {index}")
    at = environment.created_at
    for index, shop in enumerate(Environment.objects.filter(merchant=merchant).order_by("id")):
        Environment.objects.filter(id=shop.id).update(created_at=at + timedelta(seconds=index // 2))
    return list(Environment.objects.filter(merchant=merchant).order_by("created_at", "id"))


def walk(api, **query):
    """Return the ids of all pages of a list, page by page."""
    pages, token = [], None
    while token or not pages:
        response = api.get("/v1/shops", {**query, **({"page_token": token} if token else {})})
        assert response.status_code == 200, response.content
        pages.append([item["shop_id"] for item in response.data])
        token = response.json().get("next_page_token")
    return pages


def flat(pages):
    """Return the ids of all pages in one list."""
    return [item for page in pages for item in page]


class TestPages:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 12, 13, 100])
    def test_of_any_size_hold_every_row_once_newest_first(self, api, shops, size):
        pages = walk(api, page_size=size)
        assert flat(pages) == [shop.id for shop in reversed(shops)]
        assert {len(page) for page in pages[:-1]} <= {size}

    def test_the_last_one_has_no_token(self, api, shops):
        response = api.get("/v1/shops", {"page_size": 12})
        assert len(response.data) == 12
        assert "next_page_token" not in response.json()

    def test_are_of_twenty_unless_said_otherwise(self, api, merchant):
        for index in range(25):
            services.create_sandbox(merchant_id=merchant.id, name=str(index))
        assert len(api.get("/v1/shops").data) == 20

    def test_in_either_direction_and_by_other_columns(self, api, shops):
        assert flat(walk(api, page_size=5, sort_direction="asc")) == [shop.id for shop in shops]
        by_name = sorted(shops, key=lambda shop: (shop.name, shop.id))
        assert flat(walk(api, page_size=5, sort_by="name", sort_direction="asc")) == [shop.id for shop in by_name]
        assert flat(walk(api, page_size=5, sort_by="name")) == [shop.id for shop in reversed(by_name)]
        assert flat(walk(api, page_size=5, sort_by="shop_id")) == sorted((shop.id for shop in shops), reverse=True)

    def test_do_not_skip_or_repeat_when_rows_arrive_in_between(self, api, shops, merchant):
        first = api.get("/v1/shops", {"page_size": 6})
        late = services.create_sandbox(merchant_id=merchant.id, name="late")
        Environment.objects.filter(id=late.id).update(created_at=shops[-1].created_at + timedelta(seconds=1))
        rest = api.get("/v1/shops", {"page_size": 6, "page_token": first.json()["next_page_token"]})
        seen = [item["shop_id"] for item in first.data + rest.data]
        assert seen == [shop.id for shop in reversed(shops)]

    def test_cost_one_statement_however_many_rows(self, api, shops):
        with CaptureQueriesContext(connection) as captured:
            api.get("/v1/shops", {"page_size": 5})
        assert len(captured) == 3  # the key, the merchant, the page
        assert "COUNT" not in captured.captured_queries[-1]["sql"]

    @pytest.mark.parametrize("size", ["0", "101", "-1", "1.0", "ten", "", "1e1", " 5", "9" * 40, "٥"])
    def test_of_no_other_size(self, api, size):
        response = api.get("/v1/shops", {"page_size": size})
        assert (response.code, response.error["param"]) == ("INVALID_PAGE_SIZE", "page_size")


class TestTokens:
    @pytest.fixture
    def token(self, api, shops):
        return api.get("/v1/shops", {"page_size": 3}).json()["next_page_token"]

    def test_survive_another_page_size(self, api, token):
        assert api.get("/v1/shops", {"page_size": 4, "page_token": token}).status_code == 200

    @pytest.mark.parametrize(
        "change", [{"sort_direction": "asc"}, {"sort_by": "name"}, {"name": "x"}, {"kind": "live"}]
    )
    def test_fit_the_same_question_only(self, api, token, change):
        response = api.get("/v1/shops", {"page_token": token, **change})
        assert (response.status_code, response.code) == (400, "CURSOR_MISMATCH")

    def test_spelling_out_a_default_changes_nothing(self, api, token):
        query = {"page_token": token, "sort_by": "created_at", "sort_direction": "desc"}
        assert api.get("/v1/shops", query).status_code == 200

    def test_of_somebody_else_are_worthless(self, other_api, token):
        assert other_api.get("/v1/shops", {"page_token": token}).code == "INVALID_PAGE_TOKEN"

    def test_cannot_be_made_up_or_changed(self, api, token):
        body, _, signature = token.partition(":")
        for wrong in ("x", "", ":", token[:-1], f"{body}x:{signature}", "x" * 3000, "é", token + "\u0000", "Og:AAAA"):
            assert api.get("/v1/shops", {"page_token": wrong}).code == "INVALID_PAGE_TOKEN", wrong


class TestFilters:
    def ids(self, api, query):
        return {item["shop_id"] for item in api.get("/v1/shops", query).data}

    def test_times_include_after_and_exclude_before(self, api, shops):
        first, last = shops[2].created_at, shops[6].created_at
        query = {"created_after": first.isoformat(), "created_before": last.isoformat()}
        assert self.ids(api, query) == {shop.id for shop in shops if first <= shop.created_at < last}
        assert self.ids(api, {"created_after": first.isoformat(), "created_before": first.isoformat()}) == set()

    @pytest.mark.parametrize(
        ("query", "code", "param"),
        [
            ({"created_after": "yesterday"}, "INVALID_CREATED_AFTER", "created_after"),
            ({"created_before": "2026-01-01"}, "INVALID_CREATED_BEFORE", "created_before"),
            ({"updated_after": ""}, "INVALID_UPDATED_AFTER", "updated_after"),
            ({"updated_before": "2026-01-01T00:00:00"}, "INVALID_UPDATED_BEFORE", "updated_before"),
            (
                {"created_after": "2026-01-02T00:00:00Z", "created_before": "2026-01-01T00:00:00Z"},
                "INVALID_CREATED_RANGE",
                "created_after",
            ),
            ({"min_amount": "0"}, "INVALID_MIN_AMOUNT", "min_amount"),
            ({"max_amount": "1.5"}, "INVALID_MAX_AMOUNT", "max_amount"),
            ({"min_amount": "9" * 19}, "INVALID_MIN_AMOUNT", "min_amount"),
            ({"min_amount": "5", "max_amount": "4"}, "INVALID_AMOUNT_RANGE", "min_amount"),
            ({"kind": "moon"}, "INVALID_KIND", "kind"),
            ({"kind": ["live", "moon"]}, "INVALID_KIND", "kind"),
            ({"is_default": "yes"}, "INVALID_BOOLEAN", "is_default"),
            ({"sort_by": "color"}, "INVALID_SORT_BY", "sort_by"),
            ({"sort_direction": "up"}, "INVALID_SORT_DIRECTION", "sort_direction"),
            ({"name": ["a", "b"]}, "INVALID_QUERY_PARAMETER", "name"),
            ({"name": "x\0y"}, "INVALID_QUERY_PARAMETER", "name"),
            ({"limit": "5"}, "UNSUPPORTED_QUERY_PARAM", "limit"),
        ],
    )
    def test_wrong_ones_are_refused_by_name(self, api, query, code, param):
        response = api.get("/v1/shops", query)
        assert (response.status_code, response.code, response.error["param"]) == (400, code, param)

    def test_several_values_repeated_or_with_commas(self, api, shops):
        both = {shop.id for shop in shops}
        live = {shop.id for shop in shops if shop.is_live}
        assert self.ids(api, {"kind": "live"}) == live
        assert self.ids(api, {"kind": ["live", "sandbox"]}) == both
        assert self.ids(api, {"kind": "live,sandbox"}) == both

    def test_go_together(self, api, shops):
        assert self.ids(api, {"name": "Shop 3", "kind": "live"}) == set()
        assert len(self.ids(api, {"name": "Shop 3", "kind": "sandbox", "is_default": "false"})) == 1

    def test_all_wrong_ones_are_named_at_once(self, api):
        response = api.get("/v1/shops", {"page_size": "0", "kind": "moon", "x": "1"})
        assert response.code == "INVALID_REQUEST"
        assert {item["param"] for item in response.error["details"]} == {"page_size", "kind", "x"}
