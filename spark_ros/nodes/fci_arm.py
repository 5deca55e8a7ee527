"""A real Franka behind the topics of an arm's driver, straight on its FCI: no ROS driver, no controller manager.

It takes the place of `sim_arm`: the same commands, the same joint states. One thread keeps the arm company: it reads
states, publishes them and passes setpoints on. Who commands is the gateway, and only it; where commands cease, the arm
holds. What goes wrong is latched and stands on `/arm/status` until `/arm/recover` is called.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import JointState, SparkError
from spark_ros.fci.arm import FciArm, Reading
from spark_ros.fci.connection import Address
from spark_ros.fci.hand import Hand
from spark_ros.fci.link import Link, Status
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level, Rate
from spark_ros.nodes.messages import message_from_joints
from spark_ros.nodes.outgoing import message_type, outgoing_from
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.qos import LATCHED, NEWEST, STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every
from spark_ros.robots.spec import load_robot
from spark_ros.sim.controllers import make_controller
from spark_ros.sim.driver import Driver

LOST_S = 0.2  # between looks at whether anybody asked to connect again
REALTIME = {"enforce": True, "ignore": False}

DEFAULTS = {
    "robot": ("fr3", "arm, by name or YAML path: joints, limits and the topics to listen on"),
    "robot_ip": ("", "name or IP address of the robot's control unit"),
    "realtime": ("enforce", "enforce: libfranka needs a real-time thread; ignore: it does without"),
    "arm_interface": ("", "which of the robot's command interfaces to take, by kind; the usual one if empty"),
    "interpolate_from_desired_state": (True, "the parameter of this name of a joint_trajectory_controller"),
    "rate_hz": (100.0, "joint states per second, and how often the arm is told a velocity"),
    "command_timeout_s": (0.2, "without a command for so long the arm holds"),
    "largest_gap_rad": (0.2, "a setpoint further from the arm is not believed"),
    "torque_threshold": (40.0, "N m of external torque at a joint that stop the arm"),
    "force_threshold": (40.0, "N at the tool that stop the arm"),
    "hand": (True, "whether the Franka Hand is mounted"),
    "hand_positions": (False, "go to every width, without force, instead of opening and closing"),
    "hand_speed": (0.1, "m/s of its opening"),
    "hand_force": (40.0, "N when it closes"),
}


class FciArmNode(Node):
    """The node."""

    def __init__(self) -> None:
        super().__init__("fci_arm")
        self.params = Parameters(self, DEFAULTS)
        self._spec = load_robot(self.params["robot"])
        self._address = _address(self.params)
        interface = self._spec.vendor.arm_interface(self.params["arm_interface"] or None)
        self._driver = Driver(
            make_controller(self._spec, interface.kind, self.params["interpolate_from_desired_state"])
        )
        self._period_s = 1.0 / self.params["rate_hz"]
        self._link = Link(self._connect, self._spec, self.params["largest_gap_rad"])
        self._hand = self._connect_hand() if self.params["hand"] else None
        self._lock = threading.Lock()  # of link, hand and driver
        self._commanded = float("-inf")
        self._said: Status | None = None
        self._ticks = Rate()
        self._reading: Reading | None = None

        self._joints = self.create_publisher(JointStateMsg, topics.JOINT_STATES, STREAM)
        self._status = self.create_publisher(String, topics.ARM_STATUS, LATCHED)
        self.create_subscription(message_type(self._driver.form), interface.topic, self._on_arm, NEWEST)
        if self._hand is not None:
            topic = self._spec.vendor.gripper_command_topic
            self.create_subscription(Float64MultiArray, topic, self._on_gripper, NEWEST)
        self.create_service(Trigger, topics.ARM_RECOVER, self._on_recover)
        every(self, 0.2, self._raise_error)
        Diagnostics(self, self._health)

        self._announce()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="fci", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Bring the arm to rest and let go of it."""
        self._stop.set()
        self._thread.join()
        self._link.close()
        if self._hand is not None:
            self._hand.close()

    def _connect(self) -> FciArm:
        return FciArm(self._address, self._spec.limits, self.params["torque_threshold"], self.params["force_threshold"])

    def _connect_hand(self) -> Hand:
        return Hand(self._address, self.params["hand_positions"], self.params["hand_speed"], self.params["hand_force"])

    def _run(self) -> None:
        try:
            before = time.monotonic()
            while not self._stop.is_set():
                began = time.monotonic()
                with self._lock:
                    reading = self._reading = self._link.read()
                    if reading is not None:
                        self._obey(reading, began - before)
                before = began
                self._announce()
                if reading is None:
                    self._stop.wait(LOST_S)
                    continue
                self._publish(reading)
                self._ticks.tick()
                self._stop.wait(max(0.0, began + self._period_s - time.monotonic()))
        except Exception as error:  # a thread that ends silently would leave a node that looks alive
            self._error = error

    def _obey(self, reading: Reading, elapsed_s: float) -> None:
        """Passes the setpoint on, or holds where nobody commands."""
        if time.monotonic() - self._commanded > self.params["command_timeout_s"]:
            self._link.hold()
            self._driver.start(reading.desired)
            if self._hand is not None:
                self._hand.forget()
            return
        try:
            self._link.follow(self._driver.step(elapsed_s), elapsed_s)
        except SparkError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _publish(self, reading: Reading) -> None:
        """Joint states; the fingers' as long as the hand answers."""
        names, position, velocity = self._spec.joint_names, reading.position, reading.velocity
        width = None if self._hand is None else self._hand.width
        if width is not None:
            gripper = self._spec.gripper
            names = (*names, *gripper.joint_names)
            position = np.concatenate([position, gripper.joint_positions(width)])
            velocity = np.concatenate([velocity, np.zeros(len(gripper.joint_names))])
        stamp = self.get_clock().now().nanoseconds
        self._joints.publish(message_from_joints(JointState(names, position, velocity, stamp)))

    def _announce(self) -> None:
        """Publishes and logs the arm's status where it has changed."""
        status = self._link.status
        if status.ready and self._hand is not None and self._hand.error:
            status = Status(False, self._hand.error, status.mode, status.errors)
        said = None if self._said is None else (self._said.ready, self._said.reason, self._said.errors)
        if said == (status.ready, status.reason, status.errors):
            return
        self._said = status
        report = {
            "ready": status.ready,
            "reason": status.reason,
            "robot_mode": status.mode,
            "errors": list(status.errors),
        }
        self._status.publish(String(data=json.dumps(report)))
        if status.ready:
            self.get_logger().info(f"the robot at {self._address.host} is ready")
        else:
            self.get_logger().error(f"{status.reason}; then call {topics.ARM_RECOVER}")

    def _on_arm(self, message: Any) -> None:
        with self._lock:
            reading = self._reading
            if reading is None or not self._link.status.ready:
                return
            try:
                self._driver.accept(outgoing_from(message), reading.desired, reading.velocity)
                self._commanded = time.monotonic()
            except SparkError as error:
                self.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        data, gripper = np.array(message.data), self._spec.gripper
        if data.shape != (1,) or not np.all(np.isfinite(data)):
            self.get_logger().error(
                f"gripper command {data.tolist()} ignored: expected one finite number", throttle_duration_sec=1.0
            )
        elif self._hand is not None and self._link.status.ready:
            self._hand.aim(float(gripper.widths(np.repeat(data, len(gripper.joint_names)))))

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            if not self._link.status.ready:
                self._commanded = float("-inf")  # nobody's earlier command may move it now
            status = self._link.recover()
            if status.ready and self._hand is not None and self._hand.error:
                self._hand.close()
                try:
                    self._hand = self._connect_hand()
                except SparkError as error:
                    status = Status(False, str(error), status.mode, status.errors)
        response.success, response.message = status.ready, status.reason or "the robot is ready"
        return response

    def _health(self) -> Health:
        status = self._said or self._link.status
        reading = self._reading
        values = {
            "robot mode": self._link.status.mode,
            "errors": ", ".join(status.errors) or "none",
            "states per second": self._ticks.hz(),
            "moving": self._link.following,
            "commands received": 0.0 if reading is None else reading.received,
        }
        if not status.ready:
            return Health(Level.ERROR, status.reason, values)
        return Health(Level.OK, f"robot at {self._address.host}: {self._link.status.mode}", values)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _address(params: Parameters) -> Address:
    """Where the robot is.

    Raises:
        SparkError: It is not said, or not so.
    """
    if not params["robot_ip"]:
        raise SparkError("robot_ip is empty: give the address of the robot's control unit, as in robot_ip:=172.16.0.2")
    if params["realtime"] not in REALTIME:
        raise SparkError(f"realtime is '{params['realtime']}': choose {' or '.join(REALTIME)}")
    return Address(params["robot_ip"], REALTIME[params["realtime"]])


def main() -> int:
    """Entry point of the executable `fci_arm`."""
    return run(FciArmNode)


if __name__ == "__main__":
    raise SystemExit(main())
