"""A simulated robot for `fci_arm`: a world behind the FCI's protocol, and its cameras and reset on ROS topics.

    python -m benchmarks.fci.world_node --host 127.0.0.21 [--task lift] [--cameras front wrist]

What `sim_arm` is to the topics of a driver this is to libfranka; topics of the arm it has none.
"""

from __future__ import annotations

import argparse
import json
import threading
import time

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from benchmarks.fci.protocol_world import CYCLE_S, WorldServer, keep_pace
from spark_ros import topics
from spark_ros.contracts import Frame, SparkError
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level, Rate
from spark_ros.nodes.messages import camera_info, image_from_frame
from spark_ros.nodes.newest import Newest
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.qos import STREAM
from spark_ros.nodes.run import run
from spark_ros.sim.render import Renderer, Snapshot
from spark_ros.sim.world import World

CAMERA_EVERY, STATE_EVERY = 100, 50  # cycles: 10 and 20 Hz
# A real robot drops a command that comes late, and stops where too many do; a client with a real-time thread is not
# late. Here it shares two cores with the graph and has none: without patience a sixth of its commands were dropped.
PATIENCE_S = 0.005
REST_S = 5.0  # the arm is let go of 0.2 s after the last command
READY = "listens for libfranka"


class WorldNode(Node):
    """The node; its parameter `seed` is read at every reset, as that of `sim_arm`."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("sim_arm")
        self.params = Parameters(self, {"seed": (options.seed, "layout of the scene; read at every reset")})
        self._world = World(options.task, "fr3", options.cameras, 128, render=False)
        self._world.reset(options.seed)
        self._lock = threading.Lock()  # of the world and the server
        self._server = WorldServer(self._world, options.host)
        self._episode = 0
        self._stop = threading.Event()
        self._cycles, self._count = Rate(), 0
        self._snapshots: Newest[tuple[Snapshot, int]] = Newest()
        cameras = self._world.camera_names
        self._images = {c: self.create_publisher(Image, topics.camera_image(c), STREAM) for c in cameras}
        self._infos = {c: self.create_publisher(CameraInfo, topics.camera_info(c), STREAM) for c in cameras}
        self._state = self.create_publisher(String, topics.SIM_STATE, STREAM)
        self.create_service(Trigger, topics.SIM_RESET, self._on_reset)
        Diagnostics(self, self._health)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._draw, self._live)]
        for thread in self._threads:
            thread.start()
        self.get_logger().info(f"{options.host} {READY}")

    def close(self) -> None:
        """Ends both threads and the connections."""
        self._stop.set()
        self._snapshots.close()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _live(self) -> None:
        keep_pace(self._cycle, self._stop.is_set)

    def _cycle(self) -> None:
        with self._lock:
            self._server.cycle(PATIENCE_S)
            stamp = self.get_clock().now().nanoseconds
            snapshot = self._world.snapshot() if self._count % CAMERA_EVERY == 0 else None
            state = self._describe() if self._count % STATE_EVERY == 0 else None
        if snapshot is not None:
            self._snapshots.put("world", (snapshot, stamp))
        if state is not None:
            self._state.publish(String(data=json.dumps(state)))
        self._cycles.tick()
        self._count += 1

    def _describe(self) -> dict[str, object]:
        world = self._world
        return {
            "task": world.task.name,
            "seed": world.seed,
            "episode": self._episode,
            "time_s": world.time_s,
            "success": world.success(),
            **world.task_state(),
        }

    def _draw(self) -> None:
        world = self._world
        info = {camera: world.camera_intrinsics(camera) for camera in world.camera_names}
        with Renderer(world.model, world.image_size) as renderer:
            while (item := self._snapshots.take()) is not None:
                snapshot, stamp = item[1]
                for camera in world.camera_names:
                    image = renderer.render(snapshot, camera)
                    height, width, _ = image.shape
                    self._images[camera].publish(image_from_frame(Frame(camera, image, stamp)))
                    self._infos[camera].publish(camera_info(camera, info[camera], height, width, stamp))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._await_rest()
            with self._lock:
                self._world.reset(self.params["seed"])
                self._server.placed()
                self._episode += 1
            response.success, response.message = True, f"seed {self._world.seed}, episode {self._episode}"
        except SparkError as error:
            response.success, response.message = False, str(error)
        return response

    def _await_rest(self) -> None:
        """A robot that is moved must not be carried elsewhere."""
        deadline = time.monotonic() + REST_S
        while self._server.moving:
            if time.monotonic() > deadline:
                raise SparkError(f"the arm has been moved for {REST_S:.0f} s: reset the gateway before the world")
            time.sleep(0.01)

    def _health(self) -> Health:
        return Health(Level.OK, f"seed {self._world.seed}", {"of real time": self._cycles.hz() * CYCLE_S})


def main() -> int:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", required=True, help="address to listen on, in 127.0.0.0/8")
    parser.add_argument("--task", default="lift", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--cameras", nargs="*", default=["front", "wrist"], help="(default: front wrist)")
    options = parser.parse_args()
    return run(lambda: WorldNode(options), args=[])


if __name__ == "__main__":
    raise SystemExit(main())
