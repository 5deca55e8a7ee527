"""Simulated arm node: a MuJoCo world in real time behind the topics of a real arm's driver and cameras.

One thread steps the physics and publishes joint states, another draws: a picture takes as long as several control
periods, and is stamped with the instant of the snapshot it shows. Who needs the true state of the world (the scripted
operator, evaluation) finds it on /sim_arm/state; a policy must not.

Reset the gateway to idle before resetting the world: a command of the old episode would pull the new arm away.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray, String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import FloatArray, Frame, SparkError
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level, Rate, in_ms
from spark_ros.nodes.handover import Outlet
from spark_ros.nodes.messages import camera_info, image_from_frame, message_from_joints
from spark_ros.nodes.newest import Newest
from spark_ros.nodes.outgoing import message_type, outgoing_from
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.qos import LATCHED, NEWEST, STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.sim.controllers import make_controller
from spark_ros.sim.driver import Driver
from spark_ros.sim.render import Renderer, Snapshot
from spark_ros.sim.world import World

GRAPHICS_S = 30.0  # Mesa compiles its shaders once on a cold machine
LONGEST_LAG_S = 0.1  # further behind real time, the world gives up catching up: it would run in fast motion

DEFAULTS = {
    "robot": ("fr3", "simulated arm"),
    "task": ("lift", "what lies on the table and what counts as success"),
    "seed": (0, "layout of the scene; read at the start and at every reset"),
    "cameras": (["front", "wrist"], "cameras to render"),
    "image_size": (128, "height and width of the images in pixels"),
    "joint_rate_hz": (100.0, "joint states per second, and how often commands are taken over"),
    "camera_rate_hz": (10.0, "images per second of each camera; rounded to whole joint periods"),
    "state_rate_hz": (20.0, "reports of the true state per second; rounded to whole joint periods"),
    "arm_interface": (
        "",
        "which of the driver's command interfaces is active, by kind; the robot's usual one if empty",
    ),
    "interpolate_from_desired_state": (False, "the parameter of this name of a joint_trajectory_controller"),
    "program_running": (True, "on the teach pendant: whether commands reach the arm; may be set at any time"),
    "protective_stop": (False, "the robot has stopped by itself and is not unlocked; may be set at any time"),
    "speed_scaling": (1.0, "on the teach pendant: the speed slider, 0 to 1; may be set at any time"),
}


class SimArmNode(Node):
    """The node."""

    def __init__(self) -> None:
        super().__init__("sim_arm")
        self.params = Parameters(self, DEFAULTS)
        self._period_s = 1.0 / self.params["joint_rate_hz"]
        self._camera_every = max(1, round(self.params["joint_rate_hz"] / self.params["camera_rate_hz"]))
        self._state_every = max(1, round(self.params["joint_rate_hz"] / self.params["state_rate_hz"]))
        self._world = World(
            self.params["task"],
            self.params["robot"],
            self.params["cameras"],
            self.params["image_size"],
            render=False,
        )
        self._lock = threading.Lock()  # of the world and of everything up to the blank line
        interface = self._world.spec.vendor.arm_interface(self.params["arm_interface"] or None)
        self._driver = Driver(
            make_controller(self._world.spec, interface.kind, self.params["interpolate_from_desired_state"])
        )
        self._episode = -1
        self._reset()

        self._snapshots: Newest[tuple[Snapshot, int]] = Newest()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._drawing = threading.Event()
        self._steps, self._pictures = Rate(), Rate()
        self._draw_time = LatencyTrace()
        self._real_time_factor = 1.0
        self._said_running: bool | None = None

        spec = self._world.spec
        self._joints = self.create_publisher(JointState, topics.JOINT_STATES, STREAM)
        self._state = self.create_publisher(String, topics.SIM_STATE, STREAM)
        images = {c: self.create_publisher(Image, topics.camera_image(c), STREAM) for c in self._cameras}
        self._images = {camera: Outlet(publisher) for camera, publisher in images.items()}
        self._infos = {c: self.create_publisher(CameraInfo, topics.camera_info(c), STREAM) for c in self._cameras}
        status = spec.vendor.status
        self._running = self._status(Bool, status.get("program_running"), LATCHED)
        self._scaling = self._status(Float64, status.get("speed_scaling"), STREAM)
        self.create_subscription(message_type(self._driver.form), interface.topic, self._on_arm, NEWEST)
        self.create_subscription(Float64MultiArray, spec.vendor.gripper_command_topic, self._on_gripper, NEWEST)
        self.create_service(Trigger, topics.SIM_RESET, self._on_reset)
        every(self, 0.2, self._raise_error)
        Diagnostics(self, self._health)

        self._painter = self._start(self._draw)
        self._painter_is_ready()
        self._physics = self._start(self._run)

    def close(self) -> None:
        """End both threads."""
        self._stop.set()
        self._snapshots.close()
        for thread in (self._physics, self._painter):
            thread.join()

    @property
    def _cameras(self) -> tuple[str, ...]:
        return self._world.camera_names

    def _run(self) -> None:
        """Physics: keep up with the clock."""
        tick, due = 0, time.monotonic()
        while not self._stop.is_set():
            with self._lock:
                self._heed_pendant()
                self._world.command(self._driver.step(self._period_s), self._width)
                self._world.step(self._period_s)
                stamp = self.get_clock().now().nanoseconds
                joints = self._world.joint_state(stamp)
                snapshot = self._world.snapshot() if tick % self._camera_every == 0 else None
                state = self._describe() if tick % self._state_every == 0 else None
            self._joints.publish(message_from_joints(joints))
            if snapshot is not None:
                self._snapshots.put("world", (snapshot, stamp))
            if state is not None:
                self._state.publish(String(data=json.dumps(state)))
                self._publish_status()
            self._steps.tick()
            tick += 1
            due += self._period_s
            lag = time.monotonic() - due
            if lag > LONGEST_LAG_S:
                due += lag
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _draw(self) -> None:
        """Pictures: the graphics context belongs to this thread alone."""
        world = self._world
        info = {camera: world.camera_intrinsics(camera) for camera in self._cameras}
        with Renderer(world.model, world.image_size) as renderer:
            for camera in self._cameras:
                renderer.render(world.snapshot(), camera)
            self._drawing.set()
            while (item := self._snapshots.take()) is not None:
                snapshot, stamp = item[1]
                frames = []
                for camera in self._cameras:
                    with self._draw_time.measure():
                        frames.append(Frame(camera, renderer.render(snapshot, camera), stamp))
                for frame in frames:  # together, as cameras with one trigger deliver them
                    height, width, _ = frame.image.shape
                    self._images[frame.camera].publish(image_from_frame(frame))
                    self._infos[frame.camera].publish(
                        camera_info(frame.camera, info[frame.camera], height, width, stamp)
                    )
                self._pictures.tick()

    def _describe(self) -> dict[str, Any]:
        return {
            "task": self._world.task.name,
            "seed": self._world.seed,
            "episode": self._episode,
            "time_s": self._world.time_s,
            "success": self._world.success(),
            **self._world.task_state(),
        }

    def _reset(self) -> None:
        """Start an episode; the arm stays where it starts until it is commanded."""
        self._world.reset(self.params["seed"])
        self._episode += 1
        spec, joints = self._world.spec, self._world.joint_state(0)
        self._driver.start(joints.select(spec.joint_names).position)
        self._width = spec.gripper.width(joints)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                self._reset()
            response.success, response.message = True, f"seed {self._world.seed}, episode {self._episode}"
        except SparkError as error:
            response.success, response.message = False, str(error)
        return response

    def _on_arm(self, message: Any) -> None:
        try:
            with self._lock:
                self._driver.accept(outgoing_from(message), *self._arm())
        except SparkError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        data, gripper = np.array(message.data), self._world.spec.gripper
        if data.shape == (1,) and np.all(np.isfinite(data)):
            with self._lock:
                self._width = float(gripper.widths(np.repeat(data, len(gripper.joint_names))))
        else:
            self.get_logger().error(
                f"gripper command {data.tolist()} ignored: expected one finite number", throttle_duration_sec=1.0
            )

    def _arm(self) -> tuple[FloatArray, FloatArray]:
        """Where the arm is (J,), rad, and how it moves, rad/s."""
        joints = self._world.joint_state(0).select(self._world.spec.joint_names)
        return joints.position, joints.velocity

    def _heed_pendant(self) -> None:
        self._driver.switch(self.params["program_running"], self._arm()[0], self.params["protective_stop"])
        self._driver.scaling = min(max(self.params["speed_scaling"], 0.0), 1.0)

    def _status(self, kind: type, topic: str | None, qos: QoSProfile) -> Any:
        """A publisher, where the robot's driver has this topic."""
        return None if topic is None else self.create_publisher(kind, topic, qos)

    def _publish_status(self) -> None:
        if self._running is not None and self._said_running is not self._driver.running:
            self._said_running = self._driver.running
            self._running.publish(Bool(data=self._said_running))
        if self._scaling is not None:
            self._scaling.publish(Float64(data=100.0 * self._driver.scaling))

    def _health(self) -> Health:
        factor = self._steps.hz() * self._period_s
        values = {
            "real time factor": factor,
            "camera Hz": self._pictures.hz(),
            "pictures dropped": self._snapshots.dropped,
            "success": self._world.success(),
            **in_ms("draw", self._draw_time),
        }
        if factor < 0.95 and self._steps.silent_s() < 1.0:
            return Health(Level.WARN, f"runs at {factor:.2f} of real time: the machine is too busy", values)
        return Health(Level.OK, f"{self._world.task.name}, seed {self._world.seed}", values)

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self._error = error
                self._drawing.set()

        thread = threading.Thread(target=guarded, name=work.__name__, daemon=True)
        thread.start()
        return thread

    def _painter_is_ready(self) -> None:
        if not self._drawing.wait(GRAPHICS_S):
            raise SparkError(f"the first picture took more than {GRAPHICS_S:.0f} s: is the machine overloaded?")
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def main() -> int:
    """Entry point of the executable `sim_arm`."""
    return run(SimArmNode)


if __name__ == "__main__":
    raise SystemExit(main())
