"""What a user may type, and which processes follow from it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest

from spark_ros.bringup import graphs
from spark_ros.bringup.command_line import ros_arguments
from spark_ros.bringup.graph import GraphNode, Stage, parse_arguments
from spark_ros.contracts import SparkError
from spark_ros.fci.pace import pace
from spark_ros.robots.spec import load_robot


@pytest.fixture(autouse=True)
def shipped_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A bundle folder of that name, whichever bundles the checkout happens to hold."""
    bundle = SimpleNamespace(
        manifest=SimpleNamespace(cameras={"front": None, "wrist": None}), robot=SimpleNamespace(name="fr3")
    )
    monkeypatch.setattr(graphs, "bundle_directory", lambda name: tmp_path / name)
    monkeypatch.setattr(graphs, "load_bundle", lambda folder: bundle)
    return tmp_path


def nodes(graph_name: str, **given: str) -> dict[str, GraphNode]:
    graph = graphs.graph(graph_name)
    return {node.name: node for node in graph.nodes(graph.settings(given))}


def test_a_real_robot_gets_no_simulator_and_is_not_engaged_by_itself() -> None:
    started = nodes("manipulation")
    assert list(started) == ["perception", "policy", "gateway", "lifecycle_manager"]
    manager = started["lifecycle_manager"].parameters["lifecycle_manager"]
    assert manager == {"nodes": ["perception", "policy", "gateway"], "auto_engage": False}


def test_the_simulated_arm_starts_first_and_ends_last() -> None:
    started = nodes("manipulation", sim="true", seed="7")
    assert next(iter(started)) == "sim_arm"
    assert started["sim_arm"].stage is Stage.PLANT
    assert started["sim_arm"].parameters["sim_arm"]["seed"] == 7


@pytest.mark.parametrize("graph_name", ["manipulation", "teleop"])
def test_a_franka_without_a_driver_takes_the_simulators_place(graph_name: str) -> None:
    started = nodes(graph_name, arm="fci", robot_ip="172.16.0.2", realtime="ignore")
    assert next(iter(started)) == "fci_arm" and "sim_arm" not in started
    assert started["fci_arm"].stage is Stage.PLANT
    parameters = started["fci_arm"].parameters["fci_arm"]
    assert parameters == {"robot": "fr3", "robot_ip": "172.16.0.2", "realtime": "ignore"}
    gateway = started["gateway"].parameters["gateway"]
    assert gateway == {"robot": "fr3", **pace(load_robot("fr3").limits)}, "franky is slower than the arm"


@pytest.mark.parametrize(("given", "words"), [({}, "robot_ip:="), ({"robot_ip": "x", "sim": "true"}, "leave one")])
def test_a_franka_without_a_driver_has_an_address_and_is_not_simulated(given: dict[str, str], words: str) -> None:
    with pytest.raises(SparkError, match=words):
        nodes("manipulation", arm="fci", **given)


def test_a_composed_graph_gives_every_node_the_parameters_it_has_alone() -> None:
    apart, together = nodes("manipulation"), nodes("manipulation", composed="true")
    assert list(together) == ["composed", "lifecycle_manager"]
    for name, parameters in together["composed"].parameters.items():
        assert parameters == apart[name].parameters[name]
        assert apart[name].parameter_files[0] in together["composed"].parameter_files


def test_recording_adds_a_managed_recorder() -> None:
    started = nodes("manipulation", record="true", folder="here/demos")
    assert "recorder" in started["lifecycle_manager"].parameters["lifecycle_manager"]["nodes"]
    assert Path(started["recorder"].parameters["recorder"]["folder"]).is_absolute()


def test_the_bundles_cameras_are_simulated_and_a_missing_one_is_refused() -> None:
    assert nodes("manipulation", sim="true")["sim_arm"].parameters["sim_arm"]["cameras"] == ["front", "wrist"]
    with pytest.raises(SparkError, match="needs camera wrist, which cameras:=front leaves out"):
        nodes("manipulation", sim="true", cameras="front")


def test_the_usual_bundle_is_the_arms_own(shipped_bundle: Path) -> None:
    perception = nodes("manipulation")["perception"].parameters["perception"]
    assert perception["bundle"] == str(shipped_bundle / "fr3_lift")
    with pytest.raises(SparkError, match="bundle ur5e_lift drives fr3"):
        nodes("manipulation", robot="ur5e")


def test_what_the_simulator_lacks_is_said_before_anything_starts() -> None:
    for name in ("manipulation", "teleop", "sim"):
        with pytest.raises(SparkError, match="no camera side: it has front, wrist"):
            nodes(name, sim="true", cameras="front,wrist,side") if name != "sim" else nodes(name, cameras="side")
        with pytest.raises(SparkError, match="unknown task 'pour'"):
            nodes(name, task="pour", **({} if name == "sim" else {"sim": "true"}))


def test_gateway_and_simulated_driver_speak_through_the_same_interface() -> None:
    started = nodes("teleop", robot="ur5e", sim="true", arm_interface="joint_trajectory")
    gateway, driver = started["gateway"].parameters["gateway"], started["sim_arm"].parameters["sim_arm"]
    assert gateway == {"robot": "ur5e", "arm_interface": "joint_trajectory"}
    assert driver["arm_interface"] == "joint_trajectory"
    assert driver["interpolate_from_desired_state"], "else the stream of trajectories shakes the arm"
    usual = nodes("teleop", robot="ur5e", sim="true")
    assert "arm_interface" not in usual["gateway"].parameters["gateway"], "config/gateway.yaml may name one"


def test_an_arm_of_ones_own_is_given_by_the_path_of_its_description(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((resources.files("spark_ros.robots") / "specs" / "ur10e.yaml").read_text(encoding="utf-8"))
    started = nodes("teleop", robot=str(mine))
    assert started["gateway"].parameters["gateway"]["robot"] == str(mine)
    with pytest.raises(SparkError, match="drives fr3, not robot:="):
        nodes("manipulation", robot=str(mine))


def test_an_arm_or_interface_that_is_not_there_or_not_simulated_is_said_before_anything_starts() -> None:
    assert "sim_arm" not in nodes("teleop", robot="ur3e")
    with pytest.raises(SparkError, match="no simulation of robot:=ur3e: choose fr3 or ur5e"):
        nodes("teleop", robot="ur3e", sim="true")
    with pytest.raises(SparkError, match="lists no arm interface 'twist'"):
        nodes("teleop", robot="fr3", arm_interface="twist")
    with pytest.raises(SparkError, match="'moveit_servo' is not simulated"):
        nodes("sim", robot="ur5e", arm_interface="moveit_servo")


def test_recordings_carry_the_task_in_words() -> None:
    def words(**given: str) -> object:
        return nodes("teleop", **given)["recorder"].parameters["recorder"]["task"]

    assert "red cube" in str(words(sim="true", task="lift"))
    assert words(instruction="stack the cups") == "stack the cups"
    assert words() == "", "without a simulator nobody knows the task: the recorder asks for it"


def test_the_scripted_operator_needs_the_simulator() -> None:
    with pytest.raises(SparkError, match=r"operator:=expert.*sim:=true"):
        nodes("teleop", operator="expert")
    assert "expert" in nodes("teleop", operator="expert", sim="true")


def test_a_misspelt_argument_is_refused_with_the_likely_one() -> None:
    with pytest.raises(SparkError, match="no argument 'siim': did you mean sim"):
        nodes("manipulation", siim="true")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sim": "yes"}, "sim:=yes is none of true, false"),
        ({"robot": "spot"}, "unknown robot 'spot': choose one of"),
        ({"seed": "-1"}, "seed:=-1 is no whole number"),
        ({"cameras": " , "}, "names no camera"),
        ({"params_file": "/no/such.yaml"}, "does not exist"),
    ],
)
def test_a_bad_value_is_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SparkError, match=sentence):
        nodes("manipulation", **{"sim": "true", **given})


def test_an_unknown_graph_names_the_known_ones() -> None:
    with pytest.raises(SparkError, match="manipulation, teleop, sim"):
        graphs.graph("walking")


def test_every_argument_is_described_and_its_default_is_permitted() -> None:
    for graph in graphs.GRAPHS.values():
        assert graph.settings({})
        for argument in graph.arguments:
            assert argument.description.endswith("."), argument.name
            assert argument.default, f"{argument.name}: ros2 launch cannot be given an empty value"


def test_later_rules_win_so_the_users_file_comes_last() -> None:
    node = GraphNode("one", "one", {"one": {"text": "1", "many": ["a", "b"]}}, (Path("a.yaml"),), (Path("mine.yaml"),))
    assert ros_arguments(node) == [
        "--ros-args", "--params-file", "a.yaml", "-p", 'one:text:="1"', "-p", 'one:many:=["a", "b"]',
        "--params-file", "mine.yaml",
    ]  # fmt: skip


def test_words_of_a_command_line_become_arguments() -> None:
    assert parse_arguments(["sim:=true", "folder:=a:=b"]) == {"sim": "true", "folder": "a:=b"}
    with pytest.raises(SparkError, match="'sim=true' is no argument"):
        parse_arguments(["sim=true"])


def test_a_console_is_served_where_it_is_asked_for_and_never_ends_the_graph() -> None:
    for name in ("teleop", "manipulation"):
        for asked, expected in (("false", []), ("true", [False])):
            description = graphs.graph(name)
            found = description.nodes(description.settings({"sim": "true", "console": asked}))
            assert [node.essential for node in found if node.name == "console"] == expected
            assert all(node.essential for node in found if node.name != "console")
