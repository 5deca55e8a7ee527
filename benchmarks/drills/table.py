"""The drills: what breaks, what the gateway is to do about it and how soon, and how the arm gets going again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from geometry_msgs.msg import Transform
from trajectory_msgs.msg import MultiDOFJointTrajectory

from benchmarks.drills.rig import ARM_DRIVER, CAMERAS, OPERATOR
from benchmarks.drills.scene import Scene
from spark_ros import topics
from spark_ros.control.modes import Mode

Action = Callable[[Scene], object]

SILENT_POLICY_MS = 650.0  # chunk_timeout_s, a period of the policy, and what was still on its way from the camera
SILENT_ARM_MS = 250.0  # joint_timeout_s and a tick
SILENT_OPERATOR_MS = 300.0  # teleop_timeout_s and a tick
MESSAGE_MS = 50.0  # a message or a call on its way, a tick, the mode on its way
OWN_CLOCK = "clock"  # the graph whose nodes stamp by a clock that drills set
FROZEN_MS = 1000.0  # 5 images, and as long as it takes to move by frozen_motion_rad


@dataclass(frozen=True)
class Drill:
    """One kind of fault.

    Attributes:
        name: On the command line.
        fault: What happens, in words.
        inject: Makes it happen; where that takes a moment, it says when it happened, monotonic ns.
        notice: Mode in which the gateway tells of it; None where it has nothing to tell.
        within_ms: How soon after the fault it tells.
        remedy: What a person does then, in words.
        drives: Who moves the arm.
        stops: Whether the arm is to stop.
        commanded: Whether there is a gateway to bring it to rest; else the driver must hold it still.
        prepare: What comes before, while all is well.
        mend: What the remedy says, but for the calls of the gateway.
        reset: Whether the remedy has `/gateway/reset` before engaging.
        watch_s: How long to look at it where the arm is not to stop, or is not commanded.
        graph: Which one, see `runner.GRAPHS`.
        leaves: The mode in the end, where it does not stay in that of the notice.
    """

    name: str
    fault: str
    inject: Action
    notice: Mode | None
    within_ms: float
    remedy: str
    drives: Mode = Mode.POLICY
    stops: bool = True
    commanded: bool = True
    prepare: Action = lambda scene: None
    mend: Action = lambda scene: None
    reset: bool = False
    watch_s: float = 1.0
    graph: str = "lift"
    leaves: Mode | None = None

    @property
    def ends_in(self) -> Mode:
        """The gateway's mode once it has come to rest, or goes on."""
        return self.leaves or self.notice or self.drives


def _unharmed(name: str, fault: str, inject: Action, remedy: str = "none needed", **more: object) -> Drill:
    """A fault that does not concern the arm: who moves it goes on."""
    return Drill(name, fault, inject, None, 0.0, remedy, stops=False, **more)


def _start(name: str, managed: bool) -> Action:
    def mend(scene: Scene) -> None:
        scene.start(name)
        if managed:
            scene.bring_up(name)

    return mend


def _restart_words(name: str, managed: bool) -> str:
    return f"start {name}, configure and activate it" if managed else f"start {name}"


def _node(
    name: str, label: str, notice: Mode | None, within_ms: float, managed: bool, engage: str, **more: object
) -> list[Drill]:
    """Killed, restarted in order, and stalled for 0.5 s and for 5 s."""
    again = f"{_restart_words(label, managed)}{engage}"
    back = {"mend": _start(name, managed), **more}
    make = Drill if notice else _unharmed_node
    told = notice, within_ms
    return [
        make(f"kill {label}", f"kill -9 of {label}", lambda s: s.kill(name), *told, again, **back),
        make(f"restart {label}", f"SIGINT to {label}", lambda s: s.interrupt(name), *told, again, **back),
        make(
            f"stall {label} 0.5 s",
            f"{label} does not run for 0.5 s",
            lambda s: s.stall(name, 0.5),
            *told,
            engage[2:] or "none needed",
            **more,
        ),
        make(
            f"stall {label} 5 s",
            f"{label} does not run for 5 s",
            lambda s: s.stall(name, 5.0),
            *told,
            engage[2:] or "none needed",
            **more,
        ),
    ]


def _unharmed_node(name: str, fault: str, inject: Action, _: None, __: float, remedy: str, **more: object) -> Drill:
    return _unharmed(name, fault, inject, remedy, **more)


def _gateway() -> list[Drill]:
    """The one process without which nothing brakes: the driver holds the last setpoint."""
    start = {"mend": _start("gateway", True)}
    words = f"{_restart_words('gateway', True)} (a killed one is forgotten after 20 s), engage"
    stalled = "the gateway does not run for {} s; the driver holds the last setpoint meanwhile"
    return [
        Drill(
            "kill gateway",
            "kill -9 of the gateway; the driver holds the last setpoint",
            lambda s: s.kill("gateway"),
            None,
            0.0,
            words,
            commanded=False,
            watch_s=1.5,
            **start,
        ),
        Drill(
            "restart gateway",
            "SIGINT to the gateway",
            lambda s: s.interrupt("gateway"),
            Mode.HOLD,
            MESSAGE_MS,
            words.replace(" (a killed one is forgotten after 20 s)", ""),
            leaves=Mode.IDLE,
            **start,
        ),
        Drill(
            "stall gateway 0.5 s",
            stalled.format(0.5),
            lambda s: s.stall("gateway", 0.5),
            Mode.HOLD,
            500.0 + MESSAGE_MS,
            "engage",
        ),
        Drill(
            "stall gateway 5 s",
            stalled.format(5),
            lambda s: s.stall("gateway", 5.0),
            Mode.HOLD,
            5000.0 + MESSAGE_MS,
            "engage",
        ),
    ]


def _trajectories() -> list[Drill]:
    """The same with an interface whose every message ends at rest."""
    return [
        Drill(
            "trajectories: kill gateway",
            "kill -9 of the gateway, with arm_interface:=joint_trajectory",
            lambda s: s.kill("gateway"),
            None,
            0.0,
            f"{_restart_words('gateway', True)} (a killed one is forgotten after 20 s), engage",
            drives=Mode.TELEOP,
            commanded=False,
            watch_s=1.5,
            mend=_start("gateway", True),
            graph="trajectories",
        )
    ]


def _arm() -> list[Drill]:
    """The arm's driver: here the simulator, which takes the arm along when it ends."""
    killed, restarted, *stalled = _node("sim_arm", "sim_arm", Mode.HOLD, SILENT_ARM_MS, False, ", engage")

    def mend(scene: Scene) -> None:
        scene.start("sim_arm")
        scene.wait_for_arm()

    gone = [Drill(**{**vars(drill), "mend": mend}) for drill in (killed, restarted)]
    return [*gone, *stalled]


def _streams() -> list[Drill]:
    """Streams that go wrong without anybody's end."""

    def relay(name: str, word: str) -> Action:
        return lambda scene: scene.word(name, word)

    def heals(name: str) -> dict[str, Action]:
        # The first word waits for discovery; what a drill says must arrive at once.
        return {"prepare": relay(name, "pass"), "mend": relay(name, "pass")}

    def drop_briefly(scene: Scene) -> None:
        scene.word(ARM_DRIVER, "drop")
        time.sleep(0.1)
        scene.word(ARM_DRIVER, "pass")

    return [
        Drill(
            "frozen camera",
            "the cameras' driver repeats its last images, freshly stamped",
            relay(CAMERAS, "freeze"),
            Mode.HOLD,
            FROZEN_MS,
            "restart the cameras' driver, engage",
            **heals(CAMERAS),
        ),
        _unharmed(
            "swapped images", "of two images the later one arrives first, for 1 s", relay(CAMERAS, "swap"),
            **heals(CAMERAS),
        ),
        Drill(
            "joint states end",
            "the arm's driver sends no joint states",
            relay(ARM_DRIVER, "drop"),
            Mode.HOLD,
            SILENT_ARM_MS,
            "restart the arm's driver, engage",
            **heals(ARM_DRIVER),
        ),
        _unharmed("joint states pause", "no joint states for 0.1 s", drop_briefly, **heals(ARM_DRIVER)),
        _unharmed(
            "swapped joint states",
            "of two joint states the later one arrives first, for 1 s",
            relay(ARM_DRIVER, "swap"),
            **heals(ARM_DRIVER),
        ),
        Drill(
            "NaN joint states",
            "the arm's driver sends NaN",
            relay(ARM_DRIVER, "nan"),
            Mode.HOLD,
            MESSAGE_MS,
            "restart the arm's driver, engage",
            **heals(ARM_DRIVER),
        ),
    ]  # fmt: skip


def _actions() -> list[Drill]:
    """Chunks that nobody can follow."""

    def nan(chunk: MultiDOFJointTrajectory) -> None:
        chunk.points[3].transforms[0].translation.x = math.nan

    def short(chunk: MultiDOFJointTrajectory) -> None:
        for point in chunk.points:
            point.transforms = point.transforms[:1]

    def long(chunk: MultiDOFJointTrajectory) -> None:
        for point in chunk.points:
            point.transforms = [*point.transforms, Transform()]

    def foreign(chunk: MultiDOFJointTrajectory) -> None:
        chunk.header.frame_id = "camera"

    def late(chunk: MultiDOFJointTrajectory) -> None:
        chunk.header.stamp.sec -= 1

    def early(chunk: MultiDOFJointTrajectory) -> None:
        chunk.header.stamp.sec += 1

    def refused(name: str, fault: str, spoil: Callable[[MultiDOFJointTrajectory], None]) -> Drill:
        inject: Action = lambda scene: scene.send_chunk(spoil)  # noqa: E731
        return Drill(name, fault, inject, Mode.HOLD, MESSAGE_MS, "engage; if it happens again, export the bundle anew")

    def dropped(name: str, fault: str, spoil: Callable[[MultiDOFJointTrajectory], None]) -> Drill:
        return _unharmed(name, fault, lambda scene: scene.send_chunk(spoil))

    return [
        refused("NaN action", "one number of a chunk is NaN", nan),
        refused("short action", "the steps of a chunk lack the gripper", short),
        refused("long action", "the steps of a chunk have a transform too many", long),
        refused("foreign frame", "a chunk in another frame", foreign),
        dropped("late chunk", "a chunk from 1 s ago", late),
        dropped("early chunk", "a chunk from 1 s ahead", early),
    ]


def _people() -> list[Drill]:
    """What people and the arm's own controller do."""

    def unready(scene: Scene) -> None:
        scene.report_arm(False, "protective stop")

    def ready(scene: Scene) -> None:
        scene.report_arm(True, "")

    def invade(scene: Scene) -> None:
        invaders.append(scene.rival())

    def leave(scene: Scene) -> None:
        while invaders:
            invaders.pop()()

    invaders: list[Callable[[], None]] = []
    stop = "an emergency stop in the middle of a chunk (/gateway/stop)"
    return [
        Drill(
            "e-stop", stop, lambda s: s.trigger(topics.GATEWAY_STOP), Mode.FAULT, MESSAGE_MS, "reset, engage",
            prepare=lambda s: s.ready_to_call(topics.GATEWAY_STOP), reset=True,
        ),
        Drill(
            "hold", "somebody asks to hold (/gateway/hold)", lambda s: s.trigger(topics.GATEWAY_HOLD), Mode.HOLD,
            MESSAGE_MS, "engage",
        ),
        Drill(
            "protective stop",
            "the arm's driver reports a protective stop (/arm/status)",
            unready,
            Mode.FAULT,
            MESSAGE_MS,
            "recover the arm, reset, engage",
            mend=ready,
            reset=True,
        ),
        Drill(
            "second commander",
            "another node begins to publish the arm's commands",
            invade,
            Mode.FAULT,
            1000.0,
            "stop the other one, reset, engage",
            mend=leave,
            reset=True,
        ),
    ]  # fmt: skip


def _operator() -> list[Drill]:
    teleop = {"drives": Mode.TELEOP}

    def say(word: str) -> Action:
        return lambda scene: scene.word(OPERATOR, word)

    hand = {"prepare": say("pass"), "mend": say("pass"), **teleop}
    return [
        *_node(OPERATOR, "operator", Mode.HOLD, SILENT_OPERATOR_MS, False, ", engage", **teleop),
        Drill(
            "deadman", "the operator lets go of the deadman", say("release"), None, MESSAGE_MS, "press it again", **hand
        ),
        Drill(
            "foreign twist", "twists in another frame", say("foreign"), Mode.HOLD, MESSAGE_MS,
            "give the device the arm's base frame, engage", **hand,
        ),
    ]  # fmt: skip


def _clocks() -> list[Drill]:
    def computer(seconds: float) -> Drill:
        return Drill(
            f"clock {seconds:+.0f} s",
            f"the computer's clock jumps by {seconds:+.0f} s and stays there",
            lambda scene: scene.jump_clock(seconds),
            Mode.HOLD,
            MESSAGE_MS,
            "engage",
            graph=OWN_CLOCK,
        )

    def others(seconds: float, within_ms: float) -> Drill:
        def shift(scene: Scene) -> int:
            return min(scene.word(name, f"shift {seconds}") for name in (ARM_DRIVER, CAMERAS))

        def synchronise(scene: Scene) -> None:
            for name in (ARM_DRIVER, CAMERAS):
                scene.word(name, "pass")

        return Drill(
            f"drivers' clock {seconds:+.0f} s",
            f"the clock of the computer with the drivers jumps by {seconds:+.0f} s",
            shift,
            Mode.HOLD,
            within_ms,
            "synchronise the clocks, engage",
            prepare=synchronise,
            mend=synchronise,
        )

    return [others(10, SILENT_POLICY_MS), others(-10, SILENT_ARM_MS), computer(10), computer(-10)]


def _recorder() -> list[Drill]:
    def record(scene: Scene) -> None:
        scene.insist(topics.RECORDER_START)
        time.sleep(1.0)

    def discard(scene: Scene) -> None:
        scene.trigger(topics.RECORDER_DISCARD)

    killed, restarted, *stalled = _node("recorder", "recorder", None, 0.0, True, "")
    lost = [Drill(**{**vars(drill), "prepare": record}) for drill in (killed, restarted)]
    return [*lost, *(Drill(**{**vars(drill), "prepare": record, "mend": discard}) for drill in stalled)]


def _pendant() -> list[Drill]:
    """A UR's own controller, whose reports come on the topics of the arm's description."""

    def turn(**switches: object) -> Action:
        return lambda scene: scene.set_parameters("sim_arm", switches)

    return [
        Drill(
            "UR program stopped",
            "the program on a UR5e's pendant is stopped",
            turn(program_running=False),
            Mode.FAULT,
            100.0,  # the simulated driver reports at 20 Hz
            "press play, reset, engage",
            drives=Mode.TELEOP,
            mend=turn(program_running=True),
            reset=True,
            graph="ur5e",
        ),
        Drill(
            "UR speed slider",
            "the speed slider of a UR5e's pendant goes to 50%",
            turn(speed_scaling=0.5),
            Mode.HOLD,
            100.0,
            "slider to 100%, engage",
            drives=Mode.TELEOP,
            mend=turn(speed_scaling=1.0),
            graph="ur5e",
        ),
    ]


def drills() -> dict[str, Drill]:
    """All of them by name, in the order in which they are run.

    The recorder comes first: it refuses to record while somebody who was killed still seems to publish a camera.
    """
    manager = _unharmed(
        "kill lifecycle_manager",
        "kill -9 of the lifecycle manager",
        lambda s: s.kill("lifecycle_manager"),
        "none needed; started again it finds its nodes active",
        mend=_start("lifecycle_manager", False),
    )
    every = [
        *_recorder(),
        manager,
        *_actions(),
        *_people(),
        *_streams(),
        *_node("perception", "perception", Mode.HOLD, SILENT_POLICY_MS, True, ", engage"),
        *_node("policy", "policy", Mode.HOLD, SILENT_POLICY_MS, True, ", engage"),
        *_node(CAMERAS, "cameras", Mode.HOLD, SILENT_POLICY_MS, False, ", engage"),
        *_arm(),
        *_gateway(),
        *_operator(),
        *_clocks(),
        *_trajectories(),
        *_pendant(),
    ]
    return {drill.name: drill for drill in every}


QUICK = ("NaN action", "e-stop", "joint states end", "deadman", "stall gateway 0.5 s")
