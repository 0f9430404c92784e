"""What fields take and refuse, and with which codes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import fields
from flint.api.errors import invalid_fields
from flint.api.serializers import Input, Output, Patch, Tagged
from flint.api.tests.urls import GadgetInput, GadgetOutput, GadgetPatch, PayInput
from flint.money import MAX_AMOUNT, Money

EUR5 = {"amount": 500, "currency": "EUR"}
PART = {"name": "wheel", "unit_price_money": EUR5}


def refusal(part, data):
    """Return what a field or input has against data."""
    with pytest.raises(ValidationError) as raised:
        part.run_validation(data)
    return invalid_fields(raised.value.detail)


def problems(part, data):
    """Return the codes and paths with which a field or input refuses data."""
    return [(item["code"], item.get("param")) for item in refusal(part, data).facts["details"]]


def code(field, data):
    """Return the one code with which a field refuses data."""
    ((found, _),) = problems(field, data)
    return found


class TestStrings:
    def test_are_taken_as_they_are(self):
        assert fields.StrictString().run_validation("  a\u200b 😀 ") == "  a\u200b 😀 "

    @pytest.mark.parametrize("value", [1, True, [], {}, Decimal("1.5"), "a\0b", "\ud800"])
    def test_nothing_else_becomes_one(self, value):
        assert code(fields.StrictString(), value) == "INVALID_REQUEST"

    def test_length_is_counted_in_characters(self):
        field = fields.StrictString(min_length=2, max_length=3)
        assert field.run_validation("😀😀😀") == "😀😀😀"
        assert code(field, "a") == "INVALID_REQUEST"
        assert code(field, "abcd") == "VALUE_TOO_LONG"

    def test_an_empty_one_is_as_good_as_none(self):
        assert code(fields.StrictString(), "") == "FIELD_REQUIRED"
        assert code(fields.StrictString(code_required="NAME_REQUIRED"), "") == "NAME_REQUIRED"
        assert fields.StrictString(min_length=0).run_validation("") == ""

    def test_a_pattern_is_ascii_and_whole(self):
        field = fields.StrictString(pattern=r"\d+", code="INVALID_CODE")
        assert field.run_validation("12") == "12"
        assert code(field, "12x") == code(field, "١٢") == code(field, "12\n") == "INVALID_CODE"

    def test_null_is_refused_unless_allowed(self):
        assert code(fields.StrictString(), None) == "NULL_NOT_ALLOWED"
        assert fields.StrictString(allow_null=True).run_validation(None) is None

    def test_kinds_have_their_codes(self):
        assert code(fields.ExternalReferenceField(), "") == "INVALID_EXTERNAL_REFERENCE_ID"
        assert code(fields.ExternalReferenceField(), "x" * 256) == "INVALID_EXTERNAL_REFERENCE_ID"
        assert code(fields.EmailField(), "ada") == "INVALID_EMAIL_FORMAT"
        assert code(fields.PhoneField(), "call me") == "INVALID_PHONE_FORMAT"
        assert code(fields.CountryField(), "de") == "INVALID_COUNTRY"
        assert code(fields.IdField("ord"), 5) == "INVALID_ID"
        assert fields.IdField("ord").run_validation("anything") == "anything"


class TestIntegers:
    @pytest.mark.parametrize("value", ["1", Decimal("1"), Decimal("1.0"), True, None])
    def test_only_integers_are_integers(self, value):
        field = fields.StrictInteger(code="LINE_ITEM_INVALID_QUANTITY", code_null="INVALID_JSON")
        assert code(field, value) == "INVALID_JSON"

    def test_bounds(self):
        field = fields.StrictInteger(minimum=1, maximum=9, code="INVALID_QUANTITY", code_above="QUANTITY_TOO_LARGE")
        assert field.run_validation(9) == 9
        assert code(field, 0) == "INVALID_QUANTITY"
        assert code(field, 10) == "QUANTITY_TOO_LARGE"

    def test_never_beyond_64_bits(self):
        assert fields.StrictInteger().run_validation(2**63 - 1) == 2**63 - 1
        assert code(fields.StrictInteger(), 2**63) == "INVALID_REQUEST"
        assert code(fields.StrictInteger(), -(2**63) - 1) == "INVALID_REQUEST"


class TestPercentages:
    @pytest.mark.parametrize(
        ("sent", "held"),
        [(0, 0), (10, 100_000), (Decimal("10.75"), 107_500), (Decimal("0.0001"), 1), (Decimal("1.50000000"), 15_000),
         (Decimal("1E+1"), 100_000), (100, 1_000_000)],
    )  # fmt: skip
    def test_are_held_in_whole_steps(self, sent, held):
        assert fields.PercentField().run_validation(sent) == held

    def test_finer_or_beyond_is_refused(self):
        field = fields.PercentField(minimum=10_000, code="INVALID_TIP_PERCENT")
        for value in ("1.00001", "0.9999", "100.0001", "1E+70", "1E-70"):
            assert code(field, Decimal(value)) == "INVALID_TIP_PERCENT"
        assert code(field, 101) == "INVALID_TIP_PERCENT"
        for value in ("10", True, []):
            assert code(field, value) == "INVALID_JSON"


class TestMoney:
    def test_is_minor_units_and_a_currency(self):
        assert fields.MoneyField().run_validation(EUR5) == Money(500, "EUR")
        assert fields.MoneyField().run_validation({"amount": MAX_AMOUNT, "currency": "JPY"}).amount == MAX_AMOUNT

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (500, [("INVALID_MONEY", None)]),
            ("5.00 EUR", [("INVALID_MONEY", None)]),
            ([500, "EUR"], [("INVALID_MONEY", None)]),
            ({}, [("INVALID_MONEY", "amount"), ("INVALID_MONEY", "currency")]),
            ({"amount": 500}, [("INVALID_MONEY", "currency")]),
            ({"amount": "500", "currency": "EUR"}, [("INVALID_JSON", "amount")]),
            ({"amount": Decimal("500.0"), "currency": "EUR"}, [("INVALID_JSON", "amount")]),
            ({"amount": True, "currency": "EUR"}, [("INVALID_JSON", "amount")]),
            ({"amount": None, "currency": "EUR"}, [("INVALID_JSON", "amount")]),
            ({"amount": -1, "currency": "EUR"}, [("INVALID_AMOUNT", "amount")]),
            ({"amount": MAX_AMOUNT + 1, "currency": "EUR"}, [("AMOUNT_TOO_LARGE", "amount")]),
            ({"amount": 10**30, "currency": "EUR"}, [("AMOUNT_TOO_LARGE", "amount")]),
            ({"amount": 5, "currency": "eur"}, [("INVALID_CURRENCY", "currency")]),
            ({"amount": 5, "currency": "XXY"}, [("INVALID_CURRENCY", "currency")]),
            ({"amount": 5, "currency": None}, [("INVALID_CURRENCY", "currency")]),
            ({"amount": 5, "currency": []}, [("INVALID_CURRENCY", "currency")]),
            ({"amount": 5, "currency": "EUR", "value": 1}, [("UNKNOWN_FIELD", "value")]),
        ],
    )
    def test_anything_else_is_refused(self, sent, expected):
        assert problems(fields.MoneyField(), sent) == expected

    def test_codes_of_the_caller_leave_the_json_rule_alone(self):
        field = fields.MoneyField(min_amount=1, code="INVALID_TIP_AMOUNT")
        assert code(field, {"amount": 0, "currency": "EUR"}) == "INVALID_TIP_AMOUNT"
        assert code(field, {"amount": -1, "currency": "EUR"}) == "INVALID_TIP_AMOUNT"
        assert code(field, {"amount": "1", "currency": "EUR"}) == "INVALID_JSON"
        assert code(fields.MoneyField(code_negative="LINE_ITEM_NEGATIVE_PRICE"), {"amount": -1, "currency": "EUR"}) == (
            "LINE_ITEM_NEGATIVE_PRICE"
        )
        assert code(fields.MoneyField(min_amount=5), {"amount": 4, "currency": "EUR"}) == "AMOUNT_TOO_SMALL"


class TestTimes:
    def test_need_an_offset_and_become_utc(self):
        field = fields.TimestampField()
        half_past = datetime(2026, 9, 7, 12, 0, 0, 500_000, tzinfo=UTC)
        assert field.run_validation("2026-09-07T14:00:00.5+02:00") == half_past
        assert field.run_validation("2026-09-07t12:00:00z") == datetime(2026, 9, 7, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        "value",
        [
            "2026-09-07",
            "2026-09-07T12:00:00",
            "2026-13-07T12:00:00Z",
            "2026-09-07 12:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "20260907T120000Z",
            "2026-09-07T12:00:60Z",
            "2026-09-07T12:00:00+25:00",
            1757246400,
            "",
        ],
    )
    def test_anything_else_is_refused(self, value):
        assert code(fields.TimestampField(code="INVALID_EXPIRES_AT"), value) == "INVALID_EXPIRES_AT"


class TestMetadata:
    def test_limits_hold_to_the_character(self):
        field = fields.MetadataField()
        assert field.run_validation({"k" * 256: "v" * 4096})
        assert field.run_validation({f"k{i}": "v" for i in range(50)})
        assert problems(field, {"k" * 257: "v"}) == [("METADATA_KEY_TOO_LONG", "k" * 255)]
        assert problems(field, {"k": "v" * 4097}) == [("METADATA_VALUE_TOO_LONG", "k")]
        assert code(field, {f"k{i}": "v" for i in range(51)}) == "METADATA_TOO_MANY_KEYS"
        assert code(field, {f"k{i:02}": "😀" * 1000 for i in range(9)}) == "METADATA_TOO_LARGE"

    @pytest.mark.parametrize("value", [1, True, None, [], {}, Decimal("1.5")])
    def test_values_are_texts(self, value):
        assert problems(fields.MetadataField(), {"k": value}) == [("INVALID_METADATA", "k")]

    def test_keys_and_shape(self):
        assert code(fields.MetadataField(), []) == "INVALID_METADATA"
        assert problems(fields.MetadataField(), {"": "v"})[0][0] == "INVALID_METADATA_KEY"
        assert code(fields.MetadataField(), {"flint_order": "v"}) == "RESERVED_METADATA_KEY"

    def test_a_patch_may_drop_keys(self):
        field = fields.MetadataPatchField()
        assert field.run_validation({"a": None, "b": "1"}) == {"a": None, "b": "1"}
        assert field.run_validation({f"k{i}": None for i in range(200)})
        assert field.run_validation(None) is None


class TestInputs:
    def test_everything_wrong_is_found_at_once_with_its_path(self):
        wrong = {
            "parts": [
                PART,
                {"nmae": "wheel", "unit_price_money": {"amount": Decimal("1.5"), "currency": "EUR"}},
                {"name": "x" * 11, "unit_price_money": EUR5, "variant_id": "v", "quantity": 1000},
                "wheel",
            ],
            "colour": "red",
            "color": "blue",
        }
        assert set(problems(GadgetInput(), wrong)) == {
            ("UNKNOWN_FIELD", "colour"),
            ("INVALID_COLOR", "color"),
            ("UNKNOWN_FIELD", "parts[1].nmae"),
            ("PART_NAME_REQUIRED", "parts[1].name"),
            ("INVALID_JSON", "parts[1].unit_price_money.amount"),
            ("PART_NAME_TOO_LONG", "parts[2].name"),
            ("RESERVED_FIELD_NOT_YET_SUPPORTED", "parts[2].variant_id"),
            ("PART_INVALID_QUANTITY", "parts[2].quantity"),
            ("INVALID_REQUEST", "parts[3]"),
        }

    def test_one_failure_is_itself_several_are_an_invalid_request(self):
        one, two = refusal(GadgetInput(), {}), refusal(GadgetInput(), {"x": 1})
        assert (one.code, one.param) == ("MISSING_PARTS", "parts")
        assert (two.code, two.param) == ("INVALID_REQUEST", None)

    def test_lists_have_bounds(self):
        assert problems(GadgetInput(), {"parts": []}) == [("MISSING_PARTS", "parts")]
        assert problems(GadgetInput(), {"parts": [PART] * 6}) == [("RESOURCE_LIMIT_EXCEEDED", "parts")]
        assert problems(GadgetInput(), {"parts": PART}) == [("INVALID_REQUEST", "parts")]

    def test_details_and_paths_are_bounded(self):
        many = invalid_fields({f"field{i}": [ErrorDetail("Wrong.", "INVALID_REQUEST")] for i in range(5000)})
        assert len(many.facts["details"]) == 100
        assert "5000" in many.message

    def test_null_where_allowed(self):
        assert GadgetInput().run_validation({"parts": [PART], "fee_money": None})["fee_money"] is None

    def test_a_patch_wants_something_to_change(self):
        assert problems(GadgetPatch(), {}) == [("NO_FIELDS_TO_UPDATE", None)]
        assert problems(GadgetPatch(), {"expected_version": 3}) == [("NO_FIELDS_TO_UPDATE", None)]
        change = {"name": "a", "expected_version": 3}
        assert GadgetPatch().run_validation(change) == change
        assert GadgetPatch().run_validation({"metadata": None}) == {"metadata": None}

    def test_a_patch_keeps_what_its_members_require(self):
        class Outer(Patch):
            part = GadgetInput()

        assert problems(Outer(), {"part": {}}) == [("MISSING_PARTS", "part.parts")]

    def test_a_union_goes_by_its_tag(self):
        assert PayInput().run_validation({"action": "card", "token": "t"}) == {"action": "card", "token": "t"}
        assert problems(PayInput(), {}) == [("FIELD_REQUIRED", "action")]
        assert problems(PayInput(), {"action": "loan"}) == [("INVALID_REQUEST", "action")]
        assert problems(PayInput(), {"action": ["card"]}) == [("INVALID_REQUEST", "action")]
        mixed = {"action": "cash", "amount_money": EUR5, "token": "t"}
        assert problems(PayInput(), mixed) == [("UNKNOWN_FIELD", "token")]

    def test_a_union_has_codes_of_its_own(self):
        class Coded(Tagged):
            codes = {"choice": "INVALID_ACTION", "required": "ACTION_REQUIRED"}
            tag, variants = "action", PayInput.variants

        assert problems(Coded(), {"action": "loan"}) == [("INVALID_ACTION", "action")]
        assert problems(Coded(), {}) == [("ACTION_REQUIRED", "action")]

    def test_rules_between_members(self):
        class Charge(Input):
            amount_money = fields.MoneyField(required=False)
            percent = fields.PercentField(required=False)

            def validate(self, attrs):
                if self.exactly_one(attrs, "amount_money", "percent") == "percent" and attrs["percent"] == 0:
                    self.refuse("INVALID_CHARGE_PERCENT", "Not nothing.", "percent")
                return attrs

        class Order(Input):
            charges = fields.ListOf(Charge())

        assert problems(Order(), {"charges": [{}]}) == [("EXACTLY_ONE_REQUIRED", "charges[0]")]
        assert problems(Order(), {"charges": [{"percent": 0}]}) == [("INVALID_CHARGE_PERCENT", "charges[0].percent")]


class TestOutputs:
    def test_absent_values_are_left_out(self):
        assert GadgetOutput({"color": None, "percent": 5}).data.keys() == {"percent"}

    def test_expandable_members_appear_on_demand_and_may_be_null(self):
        assert "owner" not in GadgetOutput({"owner": "Ada"}).data
        assert GadgetOutput({"owner": "Ada"}, context={"expand": {"owner"}}).data == {"owner": "Ada"}
        assert GadgetOutput({}, context={"expand": {"owner"}}).data == {"owner": None}

    def test_a_misspelt_attribute_is_an_error_not_a_silence(self):
        class Wrong(Output):
            name = fields.StrictString(required=False, allow_null=True, source="nmae")

        with pytest.raises(AttributeError):
            _ = Wrong(object()).data
