"""Holds the package to its floor plan: who may import whom, and what runs without torch or ROS."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "spark_ros"

# Ground floor first; a room imports from its own floor or from rooms before it (docs/architecture.md).
FLOORS = [
    {"contracts", "topics", "shares", "hub", "compiled"},
    {"robots"},
    {"data"},
    {"encoders"},
    {"policies"},
    {"training"},
    {"bundle"},
    {"runtime"},
    {"control"},
    {"teleop"},
    {"adapters"},
    {"sim"},
    {"fci"},
    {"console"},
    {"nodes"},
    {"bringup"},
    {"evaluation"},
    {"commands", "cli"},
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

WITHOUT_TORCH = {
    "contracts",
    "topics",
    "shares",
    "hub",
    "compiled",
    "robots",
    "runtime",
    "control",
    "teleop",
    "adapters",
    "sim",
    "fci",
    "console",
    "nodes",
    "bringup",
}
WITH_ROS = {"nodes", "bringup", "evaluation", "commands", "cli"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module == "spark_ros":
                names.update(f"spark_ros.{alias.name}" for alias in node.names)
    return names


def test_every_module_belongs_to_a_known_room() -> None:
    unknown = {room_of(path) for path in modules()} - set(FLOOR_OF)
    assert not unknown, f"rooms without a place in the floor plan: {sorted(unknown)}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    for name in imported_names(path):
        if name.startswith("spark_ros.") and name.split(".")[1] in FLOOR_OF:
            other = name.split(".")[1]
            assert other == room or FLOOR_OF[other] <= FLOOR_OF[room], f"{path.name} ({room}) imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_and_ros_stay_in_their_rooms(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported_names(path)}
    if room_of(path) in WITHOUT_TORCH:
        assert "torch" not in roots
    if room_of(path) not in WITH_ROS:
        assert "rclpy" not in roots


def test_the_robot_side_imports_with_torch_blocked() -> None:
    """Not by reading the source: by importing every module a robot runs, in a process where torch cannot be had."""
    rooms = sorted(WITHOUT_TORCH - {"nodes", "bringup"})
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in modules()
        if room_of(path) in rooms
    ]
    names += ["spark_ros.bundle.load", "spark_ros.bundle.manifest"]
    code = f"import sys, importlib; sys.modules['torch'] = None\nfor name in {names!r}: importlib.import_module(name)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.returncode == 0, result.stderr[-2000:]
