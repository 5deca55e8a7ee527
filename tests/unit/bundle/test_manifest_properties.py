"""What holds for every manifest, and for everything that claims to be one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.bundle_fuzz import fuzz
from spark_ros.bundle.load import load_bundle
from spark_ros.bundle.manifest import Manifest, parse_manifest
from spark_ros.bundle.strict_yaml import MAX_CHARACTERS
from spark_ros.contracts import SparkError

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
NUMBERS = st.floats(1e-6, 1e6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NAMES
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner))


@pytest.fixture(scope="module")
def values(pristine_bundle):
    return load_bundle(pristine_bundle).manifest.model_dump(mode="json", exclude_defaults=True)


@st.composite
def changed(draw, values):
    """Another valid manifest."""
    entry = json.dumps(next(iter(values["cameras"].values())))
    cameras = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    recipe = draw(
        st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=9) | st.lists(NUMBERS), max_size=3)
    )
    return {
        **values,
        "name": draw(NAMES),
        "task": draw(st.text(max_size=50)),
        "rate_hz": draw(NUMBERS),
        "cameras": {camera: {**json.loads(entry), "size": draw(st.integers(1, 8192))} for camera in cameras},
        "encoder": {**values["encoder"], "recipe": recipe},
    }


def sealed(values: dict) -> Manifest:
    manifest = Manifest.model_validate(values)
    return manifest.model_copy(update={"id": manifest.content_id()})


@QUICK
@given(data=st.data())
def test_what_was_written_is_what_is_read(values, data):
    manifest = sealed(data.draw(changed(values)))
    assert parse_manifest(manifest.to_yaml(), "bundle.yaml") == manifest


@QUICK
@given(data=st.data())
def test_no_entry_can_be_changed_without_another_id(values, data):
    place = data.draw(st.sampled_from([key for key in values if key not in ("id", "created")]))
    other = data.draw(changed(values))
    manifest = sealed(values)
    edited = yaml.safe_load(manifest.to_yaml()) | {place: other[place]}
    if edited[place] == yaml.safe_load(manifest.to_yaml())[place]:
        assert parse_manifest(yaml.safe_dump(edited), "bundle.yaml") == manifest
    else:
        with pytest.raises(SparkError, match=r"was edited|is not valid"):
            parse_manifest(yaml.safe_dump(edited), "bundle.yaml")


@QUICK
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused_with_one_sentence(values, data):
    place = data.draw(st.sampled_from(sorted(values)))
    text = yaml.safe_dump({**values, place: data.draw(TREES)})
    try:
        parse_manifest(text, "bundle.yaml")
    except SparkError as error:
        assert "\n" not in str(error)


@QUICK
@given(text=st.text(max_size=300))
def test_any_text_is_refused_with_one_sentence(text):
    for claim in (text, f"version: 2\n{text}"):
        with pytest.raises(SparkError) as caught:
            parse_manifest(claim, "bundle.yaml")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [1, 1]\nb: [*a, *a]\nversion: 2", "an alias"),
        ("base: &b {x: 1}\nversion: 2\n<<: *b", "not allowed here"),
        ("version: 2\nversion: 1", "twice"),
        ("version: true", "states no version"),
        ("version: 2\nid: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("version: 2\n" + "#" * MAX_CHARACTERS, "expected at most"),
        ("version: 2\ncreated: 2026-99-99", "bundle.yaml"),
        ("version: 2\nrate_hz: !!python/object/apply:os.system [ls]", "bundle.yaml"),
        ("version: " + "9" * 5000, "bundle.yaml"),
    ],
)
def test_yaml_that_means_more_than_it_says_is_refused(text, says):
    with pytest.raises(SparkError, match=says):
        parse_manifest(text, "bundle.yaml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 1}, "belongs into version 2"),
        ({"proprioception_units": None}, "belongs into version 2"),
        ({"proprioception_units": ["rad"]}, "needs one unit for each"),
        ({"joint_names": ["fr3_joint1", "fr3_joint1"]}, "stands there twice"),
        ({"rate_hz": float("inf")}, "rate_hz"),
        ({"robot": "../fr3"}, "robot"),
        ({"created": "yesterday"}, "created"),
        ({"files": {"bundle.yaml": "0" * 64}}, "the manifest itself"),
    ],
)
def test_entries_that_cannot_be_are_refused(values, change, says):
    with pytest.raises(SparkError, match=says):
        parse_manifest(yaml.safe_dump({**values, **change}), "bundle.yaml")


def test_actions_in_millimetres_are_refused(values):
    action = {**values["action"], "units": ["m"] * 6 + ["rad"]}
    with pytest.raises(SparkError, match=r"rx is in m, this spark_ros computes it in rad"):
        parse_manifest(yaml.safe_dump({**values, "action": action}), "bundle.yaml")


def test_spoilt_bundles_open_or_are_refused_in_bounded_time_and_memory(pristine_bundle: Path, tmp_path: Path):
    measured = fuzz(shutil.copytree(pristine_bundle, tmp_path / "tiny"), rounds=12, seed=1)
    assert measured["crashed"] == 0, measured["crashes"]
    assert all(row["refused"] > 0 for row in measured["kinds"].values())
    assert max(row["worst_ms"] for row in measured["kinds"].values()) < 10_000
    assert measured["memory_growth_mb"] < 200
