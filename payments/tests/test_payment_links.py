"""Payment links over HTTP: making them, changing them, and what each refuses."""

from typing import Any

import pytest

from flint.testing.stories import eur, wire
from payments.models import PaymentLink

MISSING = "plink_01J00000000000000000000000"


def mug(**more: Any) -> dict[str, Any]:
    return {"name": "Mug", "unit_price_money": wire(eur(1_200)), **more}


def make(api, **data: Any) -> dict[str, Any]:
    body = {"name": "Spring sale", "payment_link_type": "standard", "line_items": [mug()], **data}
    made = api.post("/v1/payment-links", body)
    assert made.status_code == 201, made.content
    return made.data


def refused(api, **data: Any) -> tuple[int, str, str | None]:
    """Try to make a link; return status, code and parameter of the refusal, and see that nothing was made."""
    body = {"name": "Spring sale", "payment_link_type": "standard", "line_items": [mug()], **data}
    answer = api.post("/v1/payment-links", {name: value for name, value in body.items() if value is not None})
    assert not PaymentLink.objects.exists()
    return answer.status_code, answer.code, answer.error.get("param")


def test_a_link_is_active_at_once_and_shows_what_was_sent(api):
    made = make(
        api,
        description="Hand-thrown",
        max_completions=3,
        theme={"primary_color": "#0a5c36"},
        tip={"enabled": True, "tip_percent_options": [10, 12.5, 20], "default_tip_percent": 12.5},
        custom_fields=[{"key": "engraving", "label": "Engraving", "custom_field_type": "text"}],
        metadata={"shelf": "3"},
    )

    assert made["status"] == "active" and made["version"] == 1 and made["completed_count"] == 0
    assert made["url"].rsplit("/l/", 1)[1].isalnum()
    line = made["line_items"][0]
    assert (line["key"], line["quantity"], line["unit_price_money"]) == ("mug", 1, wire(eur(1_200)))
    assert made["custom_fields"][0]["max_length"] == 255
    assert made["tip"]["default_tip_percent"] == 12.5
    assert api.get(f"/v1/payment-links/{made['payment_link_id']}").data == made


def test_keys_come_from_names_and_stay_apart(api):
    made = make(api, line_items=[mug(), mug(), mug(key="mug-2")])

    assert [line["key"] for line in made["line_items"]] == ["mug", "mug-3", "mug-2"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"payment_link_type": "event"}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"payment_link_type": "gift"}, "INVALID_PAYMENT_LINK_TYPE"),
        ({"subscription_plan_id": "plan_1"}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"event_config": {}}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"status": "inactive"}, "UNKNOWN_FIELD"),
        ({"line_items": [{"variant_id": "var_1"}]}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"line_items": None}, "MISSING_LINE_ITEMS"),
        ({"line_items": []}, "MISSING_LINE_ITEMS"),
        ({"line_items": [mug()] * 101}, "TOO_MANY_LINE_ITEMS"),
        ({"max_completions": 0}, "INVALID_MAX_COMPLETIONS"),
        ({"line_items": [mug(key="a"), mug(key="a")]}, "DUPLICATE_LINE_ITEM_KEY"),
        ({"line_items": [mug(key=" a")]}, "INVALID_LINE_ITEM_KEY"),
        ({"line_items": [mug(min_quantity=3, max_quantity=2)]}, "INVALID_QUANTITY_RANGE"),
        ({"line_items": [mug(quantity=5, max_quantity=2)]}, "INVALID_QUANTITY_RANGE"),
        ({"line_items": [{"name": "Mug"}]}, "AMOUNT_REQUIRED"),
        (
            {"line_items": [mug(min_unit_price_money=wire(eur(2)), max_unit_price_money=wire(eur(1)))]},
            "INVALID_AMOUNT_RANGE",
        ),
        ({"line_items": [mug(max_unit_price_money=wire(eur(100)))]}, "INVALID_AMOUNT_RANGE"),
        (
            {
                "line_items": [
                    mug(
                        min_unit_price_money=wire(eur(1_000)),
                        suggested_unit_price_money_options=[wire(eur(900))],
                    )
                ]
            },
            "SUGGESTED_AMOUNT_BELOW_MIN",
        ),
        (
            {
                "line_items": [
                    mug(
                        max_unit_price_money=wire(eur(2_000)),
                        suggested_unit_price_money_options=[wire(eur(2_001))],
                    )
                ]
            },
            "SUGGESTED_AMOUNT_ABOVE_MAX",
        ),
        ({"line_items": [mug(suggested_unit_price_money_options=[wire(eur(1))] * 11)]}, "TOO_MANY_SUGGESTED_AMOUNTS"),
        (
            {"line_items": [mug(), mug(unit_price_money={"amount": 1, "currency": "USD"})]},
            "CURRENCY_MISMATCH",
        ),
        (
            {"line_items": [mug(payment_link_line_item_id="pli_01J00000000000000000000000")]},
            "UNKNOWN_PAYMENT_LINK_LINE_ITEM_ID",
        ),
        ({"donation_min_amount_money": wire(eur(1))}, "DONATION_CONFIG_NOT_APPLICABLE"),
        ({"metadata": {str(number): "x" for number in range(45)}}, "PAYMENT_LINK_METADATA_TOO_MANY_KEYS"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(api, data, code):
    assert refused(api, **data)[:2] == (400, code)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"key": ""}, "CUSTOM_FIELD_KEY_REQUIRED"),
        ({"key": "k" * 244}, "CUSTOM_FIELD_KEY_TOO_LONG"),
        ({"label": ""}, "CUSTOM_FIELD_LABEL_REQUIRED"),
        ({"custom_field_type": "date"}, "INVALID_PAYMENT_LINK_CUSTOM_FIELD_TYPE"),
        ({"custom_field_type": "dropdown"}, "DROPDOWN_OPTIONS_REQUIRED"),
        ({"custom_field_type": "dropdown", "options": ["S", ""]}, "CUSTOM_FIELD_OPTION_REQUIRED"),
        ({"custom_field_type": "dropdown", "options": ["S", "S"]}, "CUSTOM_FIELD_OPTION_DUPLICATE"),
        ({"options": ["S"]}, "CUSTOM_FIELD_OPTION_NOT_APPLICABLE"),
        ({"max_length": 0}, "INVALID_MAX_LENGTH"),
        ({"custom_field_type": "checkbox", "max_length": 5}, "MAX_LENGTH_NOT_APPLICABLE"),
    ],
)
def test_a_custom_field_that_makes_no_sense_is_refused_by_name(api, field, code):
    whole = {"key": "size", "label": "Size", "custom_field_type": "text", **field}
    assert refused(api, custom_fields=[whole])[:2] == (400, code)


def test_custom_fields_are_few_and_their_answers_fit_into_an_orders_metadata(api):
    def fields(count: int, **more: Any) -> list[dict[str, Any]]:
        return [{"key": str(n), "label": "L", "custom_field_type": "text", **more} for n in range(count)]

    assert refused(api, custom_fields=fields(21))[1] == "TOO_MANY_CUSTOM_FIELDS"
    assert refused(api, custom_fields=fields(1) * 2)[1] == "DUPLICATE_CUSTOM_FIELD_KEY"
    assert refused(api, custom_fields=fields(3, max_length=4_000))[1] == "PAYMENT_LINK_METADATA_TOO_LARGE"
    assert make(api, custom_fields=fields(2, max_length=4_000))["custom_fields"][1]["max_length"] == 4_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"line_items": [mug()]}, "DONATION_LINE_ITEMS_NOT_ALLOWED"),
        ({"tip": {"enabled": True}}, "DONATION_TIP_NOT_ALLOWED"),
        ({"tax": {"enabled": True}}, "DONATION_TAX_NOT_ALLOWED"),
        ({"promotion_config": {"codes_enabled": True}}, "DONATION_PROMOTION_NOT_ALLOWED"),
        ({"donation_min_amount_money": wire(eur(0))}, "INVALID_DONATION_AMOUNT"),
        (
            {"donation_min_amount_money": wire(eur(2)), "donation_max_amount_money": wire(eur(1))},
            "INVALID_DONATION_AMOUNT_RANGE",
        ),
        (
            {
                "donation_max_amount_money": wire(eur(100)),
                "donation_suggested_amount_money_options": [wire(eur(101))],
            },
            "SUGGESTED_AMOUNT_ABOVE_MAX",
        ),
    ],
)
def test_a_donation_is_an_amount_and_nothing_else(api, data, code):
    assert refused(api, **{"payment_link_type": "donation", "line_items": None, **data})[:2] == (400, code)


def test_lists_are_replaced_as_a_whole_and_parts_keep_their_identity(api):
    made = make(api, line_items=[mug(key="m"), mug(name="Plate")])
    url, first = f"/v1/payment-links/{made['payment_link_id']}", made["line_items"][0]
    lines = [
        mug(name="Bowl", quantity=1),
        mug(quantity=2, payment_link_line_item_id=first["payment_link_line_item_id"]),
    ]

    assert api.patch(url, {"line_items": lines}).code == "EXPECTED_VERSION_REQUIRED"
    changed = api.patch(url, {"line_items": lines, "expected_version": 1}).data

    assert changed["version"] == 2
    assert [line["key"] for line in changed["line_items"]] == ["bowl", "m"]
    assert changed["line_items"][1]["payment_link_line_item_id"] == first["payment_link_line_item_id"]
    stale = api.patch(url, {"line_items": lines, "expected_version": 1})
    assert (stale.status_code, stale.code) == (409, "PAYMENT_LINK_CHANGED")
    assert api.get(url).data == changed


def test_a_part_is_named_once_and_is_the_links_own(api):
    made, other = make(api), make(api)
    url = f"/v1/payment-links/{made['payment_link_id']}"
    own = mug(quantity=1, payment_link_line_item_id=made["line_items"][0]["payment_link_line_item_id"])
    foreign = mug(quantity=1, payment_link_line_item_id=other["line_items"][0]["payment_link_line_item_id"])

    twice = api.patch(url, {"line_items": [own, own], "expected_version": 1})
    assert twice.code == "DUPLICATE_PAYMENT_LINK_LINE_ITEM_ID"
    assert api.patch(url, {"line_items": [foreign], "expected_version": 1}).code == "UNKNOWN_PAYMENT_LINK_LINE_ITEM_ID"
    assert api.get(url).data == made


def test_a_change_names_what_it_changes_and_null_takes_away(api):
    made = make(api, max_completions=2, image={"source_url": "https://shop.example/mug.png"})
    url = f"/v1/payment-links/{made['payment_link_id']}"

    changed = api.patch(url, {"max_completions": None, "image": None, "inactive_message": "Sold out"}).data
    assert "max_completions" not in changed and "image" not in changed
    assert changed["line_items"] == made["line_items"]
    assert api.patch(url, {"status": "inactive"}).data["status"] == "inactive"
    assert api.patch(url, {"status": "inactive"}).data["status"] == "inactive"
    assert api.patch(url, {"status": "active"}).data["status"] == "active"
    assert api.patch(url, {"expected_version": 5}).code == "NO_FIELDS_TO_UPDATE"
    assert api.patch(url, {"line_items": [], "expected_version": 5}).code == "MISSING_LINE_ITEMS"


def test_links_are_listed_by_what_they_are(api):
    sale = make(api, external_reference_id="spring")
    gift = make(api, name="Give", payment_link_type="donation", line_items=[])
    api.patch(f"/v1/payment-links/{sale['payment_link_id']}", {"status": "inactive"})

    def found(**query: Any) -> list[str]:
        return [link["name"] for link in api.get("/v1/payment-links", query).data]

    assert found() == [gift["name"], sale["name"]]
    assert found(sort_by="updated_at") == [sale["name"], gift["name"]]
    assert found(status="active") == ["Give"] == found(payment_link_type="donation") == found(query="giv")
    assert found(external_reference_id="spring") == ["Spring sale"]
    assert found(has_plan="true") == [] and len(found(has_plan="false")) == 2
    assert found(payment_link_type="event") == []


def test_a_link_that_is_not_there_is_named_so(api):
    for answer in (
        api.get(f"/v1/payment-links/{MISSING}"),
        api.patch(f"/v1/payment-links/{MISSING}", {"name": "New"}),
        api.get(f"/v1/payment-links/{MISSING}/public"),
        api.post(f"/v1/payment-links/{MISSING}/resolve", {"resolution_context": "x"}, key="k"),
    ):
        assert (answer.status_code, answer.code) == (404, "PAYMENT_LINK_NOT_FOUND")


STATEMENTS_OF_A_LIST = 2
STATEMENTS_OF_THE_PUBLIC_VIEW = 2


def test_a_list_takes_as_many_statements_for_many(api, django_assert_num_queries):
    make(api)
    api.get("/v1/payment-links")
    with django_assert_num_queries(STATEMENTS_OF_A_LIST):
        assert len(api.get("/v1/payment-links").data) == 1
    for _ in range(4):
        make(api)
    with django_assert_num_queries(STATEMENTS_OF_A_LIST):
        assert len(api.get("/v1/payment-links").data) == 5


def test_the_public_view_reads_the_link_and_the_settings_and_no_more(api, django_assert_num_queries):
    link = make(api)["payment_link_id"]
    with django_assert_num_queries(STATEMENTS_OF_THE_PUBLIC_VIEW):
        assert api.get(f"/v1/payment-links/{link}/public", headers={"Authorization": None}).status_code == 200
