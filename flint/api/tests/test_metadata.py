"""Merging metadata, as a PATCH does."""

import pytest

from flint.api import metadata


def test_given_keys_are_set_null_drops_one_and_null_as_a_whole_clears():
    assert metadata.merge({"a": "1", "b": "2"}, {"b": None, "c": "3"}) == {"a": "1", "c": "3"}
    assert metadata.merge({"a": "1"}, {}) == {"a": "1"}
    assert metadata.merge({"a": "1"}, {"x": None}) == {"a": "1"}
    assert metadata.merge({"a": "1"}, None) == {}


def test_limits_hold_for_the_result_not_for_the_patch():
    full = {f"k{i}": "v" for i in range(metadata.MAX_PAIRS)}
    assert metadata.merge(full, {"k0": None, "new": "v"})["new"] == "v"
    with pytest.raises(metadata.InvalidMetadata) as refusal:
        metadata.merge(full, {"new": "v"})
    assert (refusal.value.code, refusal.value.param) == ("METADATA_TOO_MANY_KEYS", "metadata")
    with pytest.raises(metadata.InvalidMetadata) as refusal:
        metadata.merge({f"k{i}": "x" * 4096 for i in range(7)}, {"last": "x" * 4096})
    assert refusal.value.code == "METADATA_TOO_LARGE"


def test_over_http(api):
    assert api.patch("/v1/gadgets/1", {"metadata": {"dropped": None, "new": "3"}}).data == {
        "metadata": {"kept": "1", "new": "3"}
    }
    assert api.patch("/v1/gadgets/1", {"metadata": None}).data == {"metadata": {}}
    assert api.patch("/v1/gadgets/1", {"metadata": {"a": 1}}).error["param"] == "metadata.a"
    assert api.patch("/v1/gadgets/1", {}).code == "NO_FIELDS_TO_UPDATE"
