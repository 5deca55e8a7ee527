"""The graphs a user can start: manipulation, teleop and sim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spark_ros.bringup.environment import Transport
from spark_ros.bringup.graph import Argument, Graph, GraphNode, ParameterValue, Stage
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError
from spark_ros.fci.pace import pace
from spark_ros.robots.spec import load_robot, robot_names
from spark_ros.shares import bundle_directory, config_file

_YES_NO = ("true", "false")
_IMAGE_SOURCES = {"sim_arm", "perception"}
_STAGES = {"lifecycle_manager": Stage.MANAGER, "sim_arm": Stage.PLANT, "fci_arm": Stage.PLANT}

_ROBOT = Argument(
    "robot", "fr3", f"Arm to drive: {', '.join(robot_names())}, or the path of a YAML description of your own."
)
_INTERFACE = Argument(
    "arm_interface",
    "usual",
    "How the driver is commanded: a kind of interface that the arm's description lists; usual for its first.",
)
_SIM = Argument(
    "sim",
    "false",
    "Start a simulated arm with cameras instead of expecting the drivers of a real one; discovery then stays on this "
    "machine.",
    _YES_NO,
)
_ARM = Argument(
    "arm",
    "driver",
    "How the real arm is reached. driver: by its own ROS driver, which runs already; fci: a Franka without a driver, "
    "by the node fci_arm.",
    ("driver", "fci"),
)
_ROBOT_IP = Argument("robot_ip", "none", "Address of the Franka's control unit, for arm:=fci.")
_REALTIME = Argument(
    "realtime", "enforce", "For arm:=fci: ignore goes on without a real-time kernel.", ("enforce", "ignore")
)
_TASK = Argument("task", "lift", "Task of the simulated world and of its scripted operator.")
_INSTRUCTION = Argument(
    "instruction", "task", "The task in words, as recordings carry it; task for the simulated task's own words."
)
_SEED = Argument("seed", "0", "Seed of the simulated world: the same seed lays out the same scene.")
_CAMERAS = Argument("cameras", "front,wrist", "Cameras by name, separated by commas: /camera/<name>/color/image_raw.")
_FOLDER = Argument("folder", "demos", "Folder that recorded episodes are added to.")
_CONSOLE = Argument(
    "console",
    "false",
    "Serve the session as a web page at http://127.0.0.1:8088; address and token are parameters, see docs/console.md.",
    _YES_NO,
)
_PARAMS = Argument(
    "params_file",
    "none",
    "YAML file with parameters that win over config/ and over every argument here; none for none.",
)
_DOMAIN = Argument(
    "domain",
    "environment",
    "ROS domain: a number, auto for one on which nothing runs, or environment for ROS_DOMAIN_ID.",
)


def graph(name: str) -> Graph:
    """A graph by name.

    Raises:
        SparkError: There is no graph of that name.
    """
    if name not in GRAPHS:
        raise SparkError(f"no graph '{name}': choose one of {', '.join(GRAPHS)}")
    return GRAPHS[name]


def _manipulation(settings: Mapping[str, str]) -> tuple[GraphNode, ...]:
    robot = load_robot(settings["robot"])
    name = f"{robot.name}_lift" if settings["bundle"] == "usual" else settings["bundle"]
    folder = bundle_directory(name)
    bundle = load_bundle(folder)
    needed = tuple(bundle.manifest.cameras)
    if bundle.robot.name != robot.name:
        raise SparkError(
            f"bundle {name} drives {bundle.robot.name}, not robot:={settings['robot']}: choose another bundle or robot"
        )
    make = _Maker(settings, needed if settings["cameras"] == "bundle" else _listed(settings["cameras"]))
    missing = [camera for camera in needed if camera not in make.cameras]
    if missing:
        raise SparkError(
            f"bundle {name} needs camera {', '.join(missing)}, which cameras:={settings['cameras']} "
            "leaves out: add it, or choose another bundle"
        )
    nodes = make.plant()
    driving: dict[str, dict[str, ParameterValue]] = {
        "perception": {"bundle": str(folder)},
        "policy": {"bundle": str(folder)},
        "gateway": make.driven("gateway"),
    }
    if settings["composed"] == "true":
        nodes.append(make.process("composed", driving))
    else:
        nodes += [make.node(name, **parameters) for name, parameters in driving.items()]
    managed = list(driving)
    if settings["record"] == "true":
        nodes.append(make.recorder("policy"))
        managed.append("recorder")
    nodes += make.console()
    nodes.append(make.manager(managed, settings["auto_engage"] == "true"))
    return tuple(nodes)


def _teleop(settings: Mapping[str, str]) -> tuple[GraphNode, ...]:
    if settings["operator"] == "expert" and settings["sim"] != "true":
        raise SparkError("operator:=expert knows the simulated world only: add sim:=true, or choose operator:=human")
    make = _Maker(settings, _listed(settings["cameras"]))
    nodes = make.plant()
    nodes += [make.node("gateway", **make.driven("gateway")), make.recorder(settings["operator"])]
    if settings["operator"] == "expert":
        perturb = settings["perturb"] == "true"
        nodes.append(make.node("expert", robot=settings["robot"], task=settings["task"], perturb=perturb))
    nodes += make.console()
    nodes.append(make.manager(["gateway", "recorder"], auto_engage=False))
    return tuple(nodes)


def _sim(settings: Mapping[str, str]) -> tuple[GraphNode, ...]:
    return tuple(_Maker({**settings, "sim": "true"}, _listed(settings["cameras"])).simulation())


GRAPHS: dict[str, Graph] = {
    graph.name: graph
    for graph in (
        Graph(
            "manipulation",
            "A bundle moves the arm: perception, policy and gateway, on a real or a simulated arm.",
            (
                _ROBOT,
                _INTERFACE,
                _SIM,
                _ARM,
                _ROBOT_IP,
                _REALTIME,
                Argument(
                    "bundle",
                    "usual",
                    "Trained bundle: the name of a folder in models/, or a path; usual for <robot>_lift.",
                ),
                _TASK,
                _SEED,
                Argument(
                    "cameras", "bundle", "Cameras to simulate and record, separated by commas; bundle for its own."
                ),
                Argument(
                    "auto_engage", "false", "Let the policy move the arm as soon as all nodes are ready.", _YES_NO
                ),
                Argument("composed", "false", "Run perception, policy and gateway in one process.", _YES_NO),
                Argument("record", "false", "Start the recorder too; its services begin and end an episode.", _YES_NO),
                _FOLDER,
                _INSTRUCTION,
                _CONSOLE,
                _PARAMS,
                _DOMAIN,
            ),
            _manipulation,
        ),
        Graph(
            "teleop",
            "An operator moves the arm and the recorder keeps demonstrations: gateway and recorder.",
            (
                _ROBOT,
                _INTERFACE,
                _SIM,
                _ARM,
                _ROBOT_IP,
                _REALTIME,
                Argument(
                    "operator",
                    "human",
                    "human: you, from a terminal of your own (ros2 run spark_ros teleop_keyboard) or any device that "
                    "publishes /teleop; expert: the scripted operator of the simulator.",
                    ("human", "expert"),
                ),
                Argument(
                    "perturb",
                    "false",
                    "Let the scripted operator stray now and then and come back, which teaches a policy to recover.",
                    _YES_NO,
                ),
                _TASK,
                _SEED,
                _CAMERAS,
                _FOLDER,
                _INSTRUCTION,
                _CONSOLE,
                _PARAMS,
                _DOMAIN,
            ),
            _teleop,
        ),
        Graph(
            "sim",
            "Only the simulated arm and its cameras, as a real robot's drivers would appear.",
            (_ROBOT, _INTERFACE, _TASK, _SEED, _CAMERAS, _PARAMS, _DOMAIN),
            _sim,
        ),
    )
}


def _transport(nodes: Mapping[str, object]) -> Transport:
    if not _IMAGE_SOURCES.isdisjoint(nodes):
        return Transport.LARGE_SEGMENT
    return Transport.NO_SEGMENT if "gateway" in nodes else Transport.SMALL_SEGMENT


class _Maker:
    """Nodes from a graph's settings: each with its own file of config/ first."""

    def __init__(self, settings: Mapping[str, str], cameras: Sequence[str]) -> None:
        self._settings = settings
        self.cameras = list(cameras)
        self._overrides = _params_file(settings["params_file"])

    def node(self, name: str, **parameters: ParameterValue) -> GraphNode:
        return self.process(name, {name: parameters})

    def process(self, name: str, nodes: Mapping[str, Mapping[str, ParameterValue]]) -> GraphNode:
        files = tuple(config_file(f"{node}.yaml") for node in nodes)
        stage = _STAGES.get(name, Stage.NODE)
        return GraphNode(name, name, nodes, files, self._overrides, stage=stage, transport=_transport(nodes))

    def plant(self) -> list[GraphNode]:
        """What stands for the arm; nothing where its driver runs already."""
        settings = self._settings
        if settings["arm"] != "fci":
            return self.simulation()
        if settings["sim"] == "true":
            raise SparkError("arm:=fci is a real arm and sim:=true a simulated one: leave one of them out")
        if settings["robot_ip"] in ("none", ""):
            raise SparkError("arm:=fci needs the address of the robot's control unit, as in robot_ip:=172.16.0.2")
        address = {"robot_ip": settings["robot_ip"], "realtime": settings["realtime"]}
        return [self.node("fci_arm", **self.driven("fci_arm"), **address)]

    def simulation(self) -> list[GraphNode]:
        if self._settings["sim"] != "true":
            return []
        _check_simulated(self._settings, self.cameras)
        return [
            self.node(
                "sim_arm",
                **self.driven("sim_arm"),
                task=self._settings["task"],
                seed=_seed(self._settings["seed"]),
                cameras=self.cameras,
            )
        ]

    def driven(self, node: str) -> dict[str, ParameterValue]:
        """The arm and how it is commanded: the gateway's parameters, and those of the simulated driver."""
        robot, kind = self._settings["robot"], self._settings["arm_interface"]
        parameters: dict[str, ParameterValue] = {"robot": robot}
        spec = load_robot(robot)
        if node == "gateway" and self._settings.get("arm") == "fci":
            parameters |= pace(spec.limits)
        if kind == "usual":
            return parameters
        spec.vendor.arm_interface(kind)
        parameters["arm_interface"] = kind
        if node == "sim_arm" and kind == "joint_trajectory":
            parameters["interpolate_from_desired_state"] = True  # as `adapters/joint_trajectory.py` asks of a driver
        return parameters

    def recorder(self, operator: str) -> GraphNode:
        return self.node(
            "recorder",
            robot=self._settings["robot"],
            cameras=self.cameras,
            folder=str(Path(self._settings["folder"]).expanduser().absolute()),
            task=_in_words(self._settings),
            operator=operator,
        )

    def console(self) -> list[GraphNode]:
        """The web page, where it is asked for."""
        if self._settings["console"] != "true":
            return []
        return [replace(self.node("console"), essential=False)]

    def manager(self, managed: list[str], auto_engage: bool) -> GraphNode:
        return self.node("lifecycle_manager", nodes=managed, auto_engage=auto_engage)


def _listed(cameras: str) -> list[str]:
    names = [name.strip() for name in cameras.split(",") if name.strip()]
    if not names:
        raise SparkError("cameras:= names no camera: give at least one, as in cameras:=front,wrist")
    return names


def _check_simulated(settings: Mapping[str, str], cameras: Sequence[str]) -> None:
    """What would end the simulated arm as soon as it has started is said before anything starts."""
    from spark_ros.sim.controllers import make_controller
    from spark_ros.sim.registry import ARMS, make_task  # here: they import MuJoCo, which a robot's computer lacks
    from spark_ros.sim.scene import SceneParameters

    robot, kind = settings["robot"], settings["arm_interface"]
    if robot not in ARMS:
        raise SparkError(f"there is no simulation of robot:={robot}: choose {' or '.join(ARMS)}, or leave sim:= out")
    make_controller(load_robot(robot), None if kind == "usual" else kind)
    make_task(settings["task"])
    known = SceneParameters().cameras
    if unknown := [camera for camera in cameras if camera not in known]:
        raise SparkError(
            f"the simulator has no camera {', '.join(unknown)}: it has {', '.join(known)}; choose among these"
        )


def _in_words(settings: Mapping[str, str]) -> str:
    if settings["instruction"] != "task":
        return settings["instruction"]
    if settings["sim"] != "true":
        return ""  # the recorder asks for it when an episode is to start
    from spark_ros.sim.registry import make_task  # here, because it imports MuJoCo, which a robot's computer lacks

    return make_task(settings["task"]).instruction


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise SparkError(f"seed:={text} is no whole number from 0 up; give one, as in seed:=7")
    return int(text)


def _params_file(text: str) -> tuple[Path, ...]:
    if text in ("none", ""):
        return ()
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise SparkError(f"params_file:={text} does not exist; give the path of a YAML file, or leave the argument out")
    return (path,)
