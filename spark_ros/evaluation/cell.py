"""A robot cell in one process: a simulated arm, its cameras and the gateway on one simulated clock.

It runs the parts that the nodes run, in the order in which the ROS graph runs them, as fast as the machine can. Rates
are those of `config/sim_arm.yaml`, so what is measured or recorded here is what the graph would give.
"""

from __future__ import annotations

from dataclasses import dataclass

from spark_ros.contracts import Command, Frame, JointState
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.sim.world import World

CAMERA_RATE_HZ = 10.0
_START_NS = 1_000_000_000  # stamps are simulated time since the cell was built; 0 would read as "no stamp" in ROS


@dataclass(frozen=True)
class Sensed:
    """What the cell's sensors say after a period.

    Attributes:
        tick: Control periods since the reset, from 1.
        stamp_ns: Simulated time in nanoseconds.
        joints: Arm and finger joints at that time.
        frames: One image per camera where one is due, else none.
    """

    tick: int
    stamp_ns: int
    joints: JointState
    frames: tuple[Frame, ...]


class Cell:
    """Alternate `sense` and `act`; between the two give the gateway what the arm is to follow.

    Attributes:
        world: The simulated arm on its table.
        gateway: A new one after every `reset`, idle.
    """

    def __init__(
        self,
        world: World,
        config: GatewayConfig | None = None,
        camera_rate_hz: float = CAMERA_RATE_HZ,
    ) -> None:
        """Call `reset` before anything else.

        Args:
            world: Whose cameras and arm to use.
            config: Settings of the gateway; its rate is also that of the joint states.
            camera_rate_hz: Images per second; rounded to whole control periods.
        """
        self.world = world
        self._config = config or GatewayConfig()
        self._period_ns = round(1e9 / self._config.rate_hz)
        self._frame_every = self.every(camera_rate_hz)
        self._stamp_ns = _START_NS
        self.reset(0)

    @property
    def stamp_ns(self) -> int:
        """Simulated time in nanoseconds; it also goes on over a reset."""
        return self._stamp_ns

    @property
    def now(self) -> float:
        """The same in seconds, as the monotonic clock of the gateway."""
        return self._stamp_ns * 1e-9

    def every(self, rate_hz: float) -> int:
        """Control periods between two events of this rate."""
        return max(1, round(self._config.rate_hz / rate_hz))

    def reset(self, seed: int) -> None:
        """Starts the episode that belongs to the seed; the arm rests where the world put it."""
        self.world.reset(seed)
        self.gateway = Gateway(self.world.spec, self._config)
        self._tick = 0

    def sense(self) -> Sensed:
        """Lets one control period pass and reads the sensors."""
        self.world.step(self._period_ns * 1e-9)
        self._tick += 1
        self._stamp_ns += self._period_ns
        stamp = self._stamp_ns
        joints = self.world.joint_state(stamp)
        frames: tuple[Frame, ...] = ()
        if self._tick % self._frame_every == 0:
            frames = tuple(Frame(name, self.world.render(name), stamp) for name in self.world.camera_names)
        self.gateway.on_joint_state(joints, self.now)
        return Sensed(self._tick, stamp, joints, frames)

    def act(self) -> Command | None:
        """Sends the arm what the gateway decides; None where it sends nothing."""
        command = self.gateway.tick(self.now, self._stamp_ns)
        if command is not None:
            self.world.command(command.position, command.gripper_width)
        return command
