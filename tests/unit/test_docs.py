"""What README and docs/ tell a reader to type or to open exists: links, modules, commands with their options, nodes."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from spark_ros import cli
from spark_ros.bringup.graph import parse_arguments
from spark_ros.bringup.graphs import graph

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> Iterator[tuple[str, str]]:
    """(page, line) of everything that stands in a block of commands."""
    for page in PAGES:
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                yield page.name, line


def commands(*beginning: str) -> list[list[str]]:
    """The words of the commands that begin so."""
    found = [shlex.split(line, comments=True) for _, line in blocks() if line.startswith(" ".join(beginning))]
    assert found, f"no page shows {' '.join(beginning)}"
    return [words for words in found if "..." not in words]


def executables() -> dict[str, Path]:
    """The executables of setup.py with the file of each."""
    values = {}
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    bringup = {ast.literal_eval(key) for key in values["MODULES"].keys}
    rooms = {name: "bringup" if name in bringup else "nodes" for name in ast.literal_eval(values["NODES"])}
    return {name: ROOT / "spark_ros" / room / f"{name}.py" for name, room in rooms.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_and_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    modules = set(re.findall(r"(?:python -m |`)(benchmarks(?:\.\w+)+)", text))
    missing = {name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").is_file()}
    named = re.findall(r"`((?:spark_ros|benchmarks|tests|config|launch|scripts|models|docs)/[\w./-]+)[`:]", text)
    assert not missing | {name for name in named if not (ROOT / name).exists()}


def test_every_command_of_ours_is_understood() -> None:
    parser = cli.parser()
    for words in commands("spark-ros "):
        options = parser.parse_args(words[1:])  # exits where it does not know an option
        if words[1] == "up":
            name, *arguments = options.words
            graph(name).settings(parse_arguments(arguments))


def test_every_launch_file_takes_the_arguments_that_it_is_given() -> None:
    for _, _, package, file, *arguments in commands("ros2 launch"):
        assert package == "spark_ros" and (ROOT / "launch" / file).is_file()
        graph(file.removesuffix(".launch.py")).settings(parse_arguments(arguments))


def test_every_node_that_is_run_exists_and_has_its_parameters() -> None:
    for _, _, package, name, *words in commands("ros2 run"):
        assert package == "spark_ros" and name in executables()
        given = [word.partition(":=")[0] for flag, word in pairwise(words) if flag == "-p"]
        if given:
            known = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
            assert set(given) <= set(known[name]["ros__parameters"])


def test_every_program_among_the_nodes_has_its_executable() -> None:
    found = {path for path in (ROOT / "spark_ros" / "nodes").glob("*.py") if "\ndef main(" in path.read_text()}
    assert found <= set(executables().values())
    for name, path in executables().items():
        assert "\ndef main(" in path.read_text(encoding="utf-8"), name


def test_the_architecture_page_names_every_executable() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert not [name for name in executables() if f"`{name}`" not in text]
