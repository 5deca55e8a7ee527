"""Topic and service names, once: nodes publish them, the recorder stores them, the data readers look for them.

Only stock message types travel on them, so a bag opens anywhere and nothing needs a message build.
"""

from __future__ import annotations

JOINT_STATES = "/joint_states"  # sensor_msgs/JointState, arm and finger joints

# perception -> policy
FEATURE_CONTRACT = "/perception/contract"  # std_msgs/String JSON, transient_local

DRIFT = "/perception/drift"  # std_msgs/Float32: how foreign what is seen is to the policy, above 1 it is

# arm -> gateway
ARM_STATUS = "/arm/status"  # std_msgs/String JSON, transient_local: {"ready": bool, "reason": text}

# who drives the arm directly (fci_arm), std_srvs/Trigger
ARM_RECOVER = "/arm/recover"  # connects again, recovers the robot from its errors, unlatches

# policy -> gateway
EE_CHUNK = "/policy/ee_chunk"  # trajectory_msgs/MultiDOFJointTrajectory, see nodes/messages.py
JOINT_CHUNK = "/policy/joint_chunk"  # trajectory_msgs/JointTrajectory
EE_DELTA_CHUNK = "/policy/ee_delta_chunk"  # MultiDOFJointTrajectory of changes, see nodes/relative_messages.py
JOINT_DELTA_CHUNK = "/policy/joint_delta_chunk"  # JointTrajectory of changes

# operator -> gateway
TELEOP_TWIST = "/teleop/twist"  # geometry_msgs/TwistStamped, tool velocity in the base frame
TELEOP_JOINTS = "/teleop/joints"  # sensor_msgs/JointState, wanted joints of the arm by name, instead of a twist
TELEOP_JOY = "/teleop/joy"  # sensor_msgs/Joy: axes [opening 0..1], buttons [deadman, not for imitation]

# gateway -> everyone who listens (never to the arm: the arm's topics are the RobotSpec's)
GATEWAY_MODE = "/gateway/mode"  # std_msgs/String, transient_local: a `control.modes.Mode` value
GATEWAY_SETPOINT = "/gateway/setpoint"  # sensor_msgs/JointState: what was commanded, by joint name, stamped
STAGES = (
    "/trace/stages"  # std_msgs/String JSON, see runtime/trace.py: perception, policy and gateway stamp what they do
)
GATEWAY_TRACE = "/gateway/trace"  # sensor_msgs/TimeReference: header.stamp = command, time_ref = capture

# gateway services, std_srvs/Trigger
GATEWAY_ENGAGE_POLICY = "/gateway/engage_policy"
GATEWAY_ENGAGE_TELEOP = "/gateway/engage_teleop"
GATEWAY_HOLD = "/gateway/hold"
GATEWAY_STOP = "/gateway/stop"  # latches FAULT
GATEWAY_RESET = "/gateway/reset"
GATEWAY_HOME_GRIPPER = "/gateway/home_gripper"  # where the gripper is told by actions

# recorder services, std_srvs/Trigger
RECORDER_START = "/recorder/start"
RECORDER_KEEP = "/recorder/keep"
RECORDER_DISCARD = "/recorder/discard"
RECORDER_AGAIN = "/recorder/again"  # discard, then start at once

# rcl_interfaces/SetParametersAtomically: file, and success or note or both, of the episode being recorded or a kept one
RECORDER_MARK = "/recorder/mark"

# recorder -> everyone who listens
RECORDER_STATUS = "/recorder/status"  # std_msgs/String JSON, transient_local, see data/recorder_status.py

# simulator only
SIM_RESET = "/sim_arm/reset"  # std_srvs/Trigger; the seed is the node's parameter `seed`
SIM_STATE = "/sim_arm/state"  # std_msgs/String JSON: task, seed, episode time, success


def camera_image(name: str, compressed: bool = False) -> str:
    """`sensor_msgs/Image`, rgb8, named as realsense-ros names it; compressed, image_transport's `CompressedImage`."""
    return f"/camera/{name}/color/image_raw{'/compressed' if compressed else ''}"


def camera_info(name: str) -> str:
    """`sensor_msgs/CameraInfo` beside `camera_image`."""
    return f"/camera/{name}/color/camera_info"


def camera_features(name: str) -> str:
    """`sensor_msgs/Image`, 32FC1, height = tokens, width = channels, stamp = capture time of the frame."""
    return f"/perception/{name}/features"


def camera_of(topic: str) -> str | None:
    """The camera whose images travel on a topic, packed (``.../compressed``) or not; None for any other topic."""
    before, after = camera_image("\0").split("\0")
    topic = topic.removesuffix("/compressed")
    if not (topic.startswith(before) and topic.endswith(after) and len(topic) > len(before) + len(after)):
        return None
    name = topic[len(before) : len(topic) - len(after)]
    return name if "/" not in name else None
