from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from spark_ros.contracts import ActionKind, SparkError
from spark_ros.policies.options import read_options, write_options


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    path: str
    inner: Inner = field(default_factory=Inner)
    many: dict[str, Inner] = field(default_factory=dict)
    kind: ActionKind = ActionKind.EE_POSE
    limit: int | None = None
    flag: bool = False


def test_options_survive_writing_and_reading() -> None:
    outer = Outer("a", Inner(0.5, ("x", "y")), {"k": Inner(2.0)}, ActionKind.JOINT_POSITION, 3, True)
    assert read_options(Outer, write_options(outer)) == outer
    assert read_options(Outer, {"path": "a", "inner": {"rate": 2}}).inner.rate == 2.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"path": "a", "pth": 1}, r"unknown option pth: did you mean path\?"),
        ({"path": "a", "inner": {"zzz": 1}}, "unknown option inner.zzz: expected one of rate, names"),
        ({"path": "a", "many": {"k": {"rat": 1}}}, r"unknown option many.k.rat: did you mean rate\?"),
        ({}, "option path is missing"),
        ({"path": 3}, "option path is 3: expected text"),
        ({"path": "a", "limit": 1.5}, "option limit is 1.5: expected a whole number"),
        ({"path": "a", "limit": True}, "option limit is True: expected a whole number"),
        ({"path": "a", "flag": 1}, "option flag is 1: expected true or false"),
        ({"path": "a", "inner": {"rate": "fast"}}, "option inner.rate is 'fast': expected a number"),
        ({"path": "a", "inner": {"names": "xy"}}, "option inner.names is 'xy': expected a list"),
        ({"path": "a", "inner": 3}, "inner is 3, expected a mapping"),
        ({"path": "a", "kind": "pose"}, "option kind is 'pose': expected one of joint_position, ee_pose"),
    ],
)
def test_a_wrong_option_is_named_in_one_sentence(values: dict, sentence: str) -> None:
    with pytest.raises(SparkError, match=sentence):
        read_options(Outer, values)
