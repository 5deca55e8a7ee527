"""One simulated arm on its table with one task, stepped by the caller.

The world behaves like an arm behind its driver: it obeys the last joint command for ever and reports joint states.
It starts no threads and takes no locks. A caller that steps in one thread and draws in another takes a `snapshot`
under its own lock and hands it to a `render.Renderer` that lives in the drawing thread.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, ImageArray, JointState, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec, load_robot
from spark_ros.sim.engine import mujoco
from spark_ros.sim.look import Look
from spark_ros.sim.registry import make_arm, make_task
from spark_ros.sim.render import Renderer, Snapshot
from spark_ros.sim.scene import SceneParameters, add_scene
from spark_ros.sim.shifts import Stage, make_shift

TIMESTEP_S = 0.002
CHECK_STEPS = 5  # the success rule is looked at every 10 ms of simulated time, however long the caller's steps are
LARGEST_IMAGE = 2048
DEFAULT_CAMERAS = ("front", "wrist")


class World:
    """See the module's text; call `reset` before anything else, `close` at the end.

    Attributes:
        spec: The robot; J is its number of arm joints.
        task: The task: its `instruction`, `max_duration_s`, success rule.
        scene: Every number of the scene's look.
        shift: How every episode differs from that look, or from the task's sizes, by a draw of its own.
        model: The MuJoCo model, shared with renderers: read only. Under a shift it is changed by every reset.
        image_size: Height and width of images, pixels.
        camera_names: The cameras that can be rendered.
        seed: Of the present episode.
    """

    def __init__(
        self,
        task: str = "lift",
        robot: str = "fr3",
        cameras: Sequence[str] | None = None,
        image_size: int = 128,
        render: bool = True,
        scene: SceneParameters | None = None,
        shift: str = "nominal",
    ) -> None:
        """Builds the world; nothing is drawn, and no graphics library is needed, before the first `render`.

        Args:
            task: Name in `registry.TASKS`.
            robot: Name of a robot for which there is a simulated arm.
            cameras: Which of the scene's cameras to use, in this order; `front` and `wrist` by default.
            image_size: Height and width of images, pixels.
            render: False refuses `render`, for work that must stay free of graphics.
            scene: Another look; the standard one by default.
            shift: Name in `shifts.SHIFTS`.

        Raises:
            SparkError: Something of this name does not exist, or the image size makes no sense.
        """
        if not 8 <= image_size <= LARGEST_IMAGE:
            raise SparkError(f"image size is {image_size} pixels: give a number from 8 to {LARGEST_IMAGE}")
        self.spec: RobotSpec = load_robot(robot)
        self.task = make_task(task)
        self.scene = scene or SceneParameters()
        self.shift = make_shift(shift)
        self.camera_names: tuple[str, ...] = DEFAULT_CAMERAS if cameras is None else tuple(cameras)
        for name in self.camera_names:
            self._check_camera(name, tuple(self.scene.cameras))
        self.image_size = image_size
        self.seed = 0
        arm = make_arm(robot)
        add_scene(arm, self.scene)
        self.task.add_objects(arm)
        if self.shift.add is not None:
            self.shift.add(arm.mjcf)
        self.model: mujoco.MjModel = _compile(arm.mjcf)
        self._data = mujoco.MjData(self.model)
        self.task.bind(self.model, arm)
        self._kinematics = Kinematics(self.spec)
        self._names = (*self.spec.joint_names, *self.spec.gripper.joint_names)
        self._check_joints(robot)
        self._positions = np.array([int(self.model.joint(name).qposadr[0]) for name in self._names])
        self._velocities = np.array([int(self.model.joint(name).dofadr[0]) for name in self._names])
        self._controls = np.array([self.model.actuator(name).id for name in self._names])
        self._renderer = Renderer(self.model, image_size) if render else None
        self._look: Look | None = None
        self._nominal = copy.copy(self.model)
        self.reset(0)

    @property
    def time_s(self) -> float:
        """Simulated time since the reset."""
        return float(self._data.time)

    def reset(self, seed: int) -> None:
        """Starts the episode that belongs to this seed (a non-negative integer); the same seed is the same episode.

        Raises:
            SparkError: The seed is negative.
        """
        if seed < 0:
            raise SparkError(f"seed is {seed}: give a non-negative integer")
        self._draw_look(seed)
        rng = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self._data)
        self.task.place_objects(self._data, rng)
        joints = self.task.start_joints(self._kinematics, rng)
        width = self.spec.gripper.max_width
        self._data.qpos[self._positions] = self._controls_for(joints, width)
        self.command(joints, width)
        mujoco.mj_forward(self.model, self._data)
        self.seed = seed
        self._steps = 0
        self._wanted_s = 0.0
        self._done_checks = 0
        self._succeeded = False

    def command(self, q: FloatArray, gripper_width: float) -> None:
        """Sends the arm to these joints (J,), rad, and the fingers to this width, m; both are held from then on.

        Values beyond the joints' limits are clamped, as by a driver's position interface.

        Raises:
            SparkError: A value is not finite or q has another length.
        """
        q = np.asarray(q, dtype=np.float64)
        if q.shape != (len(self.spec.joint_names),):
            raise SparkError(f"joint command has shape {q.shape}: expected ({len(self.spec.joint_names)},)")
        if not (np.all(np.isfinite(q)) and np.isfinite(gripper_width)):
            raise SparkError(f"joint command is {q.tolist()}, width {gripper_width}: every value must be finite")
        self._data.ctrl[self._controls] = self._controls_for(q, gripper_width)

    def step(self, duration_s: float) -> None:
        """Lets time pass; what does not fill a whole 2 ms step is carried over to the next call."""
        self._wanted_s += duration_s
        last = round(self._wanted_s / TIMESTEP_S)
        while self._steps < last:
            count = min(CHECK_STEPS - self._steps % CHECK_STEPS, last - self._steps)
            mujoco.mj_step(self.model, self._data, count)
            self._steps += count
            if self._steps % CHECK_STEPS == 0:
                self._check_success()

    def joint_state(self, stamp_ns: int) -> JointState:
        """Arm joints, then fingers, as the driver would report them now."""
        data = self._data
        return JointState(self._names, data.qpos[self._positions], data.qvel[self._velocities], stamp_ns)

    def success(self) -> bool:
        """Whether the task has been done in this episode; stays true until the next reset."""
        return self._succeeded

    def task_state(self) -> dict[str, Any]:
        """What only a simulator knows, JSON-able; see the task's `state`."""
        return self.task.state(self._data)

    def snapshot(self) -> Snapshot:
        """A copy of what a renderer needs."""
        return Snapshot(self._data.qpos.copy(), self.time_s, self._look)

    def render(self, camera: str) -> ImageArray:
        """(H, W, 3) RGB as seen now; always from the thread that rendered first.

        Raises:
            SparkError: There is no such camera, or no graphics library.
        """
        if self._renderer is None:
            raise SparkError("this world was made with render=False: make it with render=True to get images")
        return self._renderer.render(self.snapshot(), camera)

    def camera_intrinsics(self, camera: str) -> FloatArray:
        """(3, 3) pinhole matrix in pixels, as `CameraInfo.k`: x right, y down, z forward; no distortion."""
        self._check_camera(camera, self.camera_names)
        half = self.image_size / 2
        focal = half / np.tan(np.radians(self.scene.cameras[camera].fovy_deg) / 2)
        return np.array([[focal, 0.0, half - 0.5], [0.0, focal, half - 0.5], [0.0, 0.0, 1.0]])

    def close(self) -> None:
        """Frees the graphics; call it from the thread that rendered."""
        if self._renderer is not None:
            self._renderer.close()

    def _draw_look(self, seed: int) -> None:
        self.task.place_objects(self._data, np.random.default_rng(seed))  # the draw may depend on where they lie
        stage = Stage(self._nominal, self.task.object_name, self.task.occupied(self._data))
        self._look = self.shift.look(stage, seed)
        if self._look is not None:
            self._look.apply(self.model)

    def _controls_for(self, q: FloatArray, gripper_width: float) -> FloatArray:
        limits, gripper = self.spec.limits, self.spec.gripper
        fingers = gripper.joint_positions(float(np.clip(gripper_width, 0.0, gripper.max_width)))
        return np.concatenate([np.clip(q, limits.position_lower, limits.position_upper), fingers])

    def _check_success(self) -> None:
        self._done_checks = self._done_checks + 1 if self.task.is_done(self._data) else 0
        if self._done_checks * CHECK_STEPS * TIMESTEP_S >= self.task.success_hold_s:
            self._succeeded = True

    def _check_joints(self, robot: str) -> None:
        simulated = [self.model.joint(i).name for i in range(self.model.njnt)]
        if missing := [name for name in self._names if name not in simulated]:
            raise SparkError(
                f"robot {robot} has joints {', '.join(missing)}, its simulated arm has {', '.join(simulated)}: correct "
                "the names in its description"
            )

    def _check_camera(self, camera: str, known: tuple[str, ...]) -> None:
        if camera not in known:
            raise SparkError(f"unknown camera '{camera}': this world has {', '.join(known)}")


def _compile(mjcf: mujoco.MjSpec) -> mujoco.MjModel:
    mjcf.option.timestep = TIMESTEP_S
    mjcf.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # An elliptic friction cone with a high ratio of friction to normal impedance keeps grasps from creeping.
    mjcf.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    mjcf.option.impratio = 10.0
    mjcf.visual.map.znear = 0.01
    mjcf.stat.extent = 1.0
    mjcf.stat.center = [0.4, 0.0, 0.2]
    return mjcf.compile()
