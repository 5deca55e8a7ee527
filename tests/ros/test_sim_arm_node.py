"""The simulated arm as a process: a driver and two cameras as far as anybody can tell, and a world that repeats."""

from __future__ import annotations

import json

import numpy as np
import pytest
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray, String

from spark_ros import topics
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.nodes.messages import frame_from_image, joints_from_message
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")


def test_the_simulated_arm_looks_like_a_driver_with_cameras(graph: GraphUnderTest) -> None:
    states = graph.listen(JointState, topics.JOINT_STATES)
    images = {camera: graph.listen(Image, topics.camera_image(camera)) for camera in ("front", "wrist")}
    infos = {camera: graph.listen(CameraInfo, topics.camera_info(camera)) for camera in ("front", "wrist")}
    graph.start("sim_arm", image_size=64)
    command = graph.advertise(Float64MultiArray, SPEC.vendor.arm_command_topic)
    gripper = graph.advertise(Float64MultiArray, SPEC.vendor.gripper_command_topic)
    assert until(lambda: all(len(received) >= 3 for received in images.values())), graph.logs()
    for camera, received in images.items():
        frame = frame_from_image(received[-1], camera)
        assert frame.image.shape == (64, 64, 3) and frame.image.std() > 5.0, "a picture of something"
        stamps = {stamp_ns(info.header.stamp) for info in infos[camera]}
        assert frame.stamp_ns in stamps
        assert infos[camera][-1].k[0] > 0.0
    taken = {stamp_ns(state.header.stamp) for state in states}
    assert {stamp_ns(image.header.stamp) for image in images["front"]} & taken, "stamped with an instant of the physics"

    start = joints_from_message(states[-1]).select(SPEC.joint_names).position
    target = start + np.array([0.1, 0, 0, 0, 0, 0, 0])
    command.publish(Float64MultiArray(data=target.tolist()))
    gripper.publish(Float64MultiArray(data=[0.02]))
    assert until(
        lambda: (
            np.allclose(joints_from_message(states[-1]).select(SPEC.joint_names).position, target, atol=0.02)
            and abs(SPEC.gripper.width(joints_from_message(states[-1])) - 0.04) < 0.005
        )
    ), graph.logs()
    command.publish(Float64MultiArray(data=[float("nan")] * 7))
    graph.nodes[0].wait_for("arm command .* ignored")


def test_a_reset_with_the_same_seed_gives_the_same_scene(graph: GraphUnderTest) -> None:
    states = graph.listen(String, topics.SIM_STATE)
    graph.start("sim_arm", image_size=32)

    def scene(seed: int) -> tuple[float, ...]:
        graph.set("sim_arm", seed=seed)
        answer = graph.trigger(topics.SIM_RESET)
        assert answer.success, answer.message
        episode = int(answer.message.rsplit(" ", 1)[1])
        assert until(lambda: json.loads(states[-1].data)["episode"] == episode)
        state = json.loads(states[-1].data)
        assert state["seed"] == seed
        return tuple(round(value, 4) for value in state["cube_position"][:2])

    assert until(lambda: states), graph.logs()
    first, other, again = scene(3), scene(4), scene(3)
    assert first == again != other
    graph.set("sim_arm", seed=-1)
    answer = graph.trigger(topics.SIM_RESET)
    assert not answer.success and "non-negative" in answer.message


def test_the_expert_lifts_the_cube_through_the_graph_and_the_recorder_keeps_it(graph: GraphUnderTest, tmp_path) -> None:
    states = graph.listen(String, topics.SIM_STATE)
    graph.start("sim_arm", seed=1, image_size=32)
    graph.start("gateway")
    graph.start("recorder", folder=str(tmp_path / "demos"), task="lift the cube")
    graph.start("expert")
    manager = graph.start("lifecycle_manager", nodes=["gateway", "recorder"])
    manager.wait_for("all nodes are active")
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).success), graph.logs()
    assert until(lambda: graph.trigger(topics.RECORDER_START).success), graph.logs()
    assert until(lambda: states and json.loads(states[-1].data)["success"], 40.0), graph.logs()
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success, answer.message
    folder = DemoFolder(tmp_path / "demos")
    episode = folder.read(folder.episodes()[0])
    assert min(len(frames) for frames in episode.cameras.values()) > 10
    assert len(episode.setpoints) > 100
