"""The environment a node starts in: transport, discovery, and the repair of leaked variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import spark_ros
from spark_ros.shares import config_file

# The ROS 2 wheels re-execute Python once with this guard and their library path; both leak to every child.
WHEELS_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # read up to Jazzy, and from Kilted on
DISCOVERY_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


class Transport(Enum):
    """How Fast DDS brings a process's messages to others; each is a file of config/ that says why."""

    LARGE_SEGMENT = "fastdds_shm.xml"
    """For who sends images or features."""
    SMALL_SEGMENT = "fastdds_shm_small.xml"
    NO_SEGMENT = "fastdds_udp.xml"
    """For who must never wait for who reads: the gateway."""
    NO_SEGMENT_HERE = "fastdds_udp_local.xml"
    """The same, kept to this machine."""


def transport_environment(
    present: Mapping[str, str], *, local_only: bool, transport: Transport = Transport.LARGE_SEGMENT
) -> dict[str, str]:
    """What every graph of ours sets for its nodes, under `ros2 launch` and under `spark-ros up` alike.

    Args:
        present: The environment so far. What its user chose stays; what a graph of ours set for another process does
            not.
        local_only: Keep discovery on this machine. A simulated arm listens and answers under the names of
            a real one, so a simulation must never meet the robot next door.
        transport: Of the process.
    """
    ours = (None, *(str(config_file(known.value)) for known in Transport))
    free = [name for name in PROFILES if present.get(name) in ours]
    here = local_only and present.get(DISCOVERY_RANGE) in (None, "LOCALHOST")
    # LOCALHOST adds shared memory to whatever a profile says. Who must not have that is kept here by its profile.
    apart = here and transport is Transport.NO_SEGMENT and len(free) == len(PROFILES)
    profile = str(config_file((Transport.NO_SEGMENT_HERE if apart else transport).value))
    # A 640x480 frame does not fit Fast DDS's default shared-memory segment and is lost under best effort.
    variables = dict.fromkeys(free, profile)
    if here:
        variables[DISCOVERY_RANGE] = "SYSTEM_DEFAULT" if apart else "LOCALHOST"
    return variables


def child_environment(
    overrides: Mapping[str, str] | None = None,
    *,
    domain_id: int,
    local_only: bool,
    transport: Transport = Transport.LARGE_SEGMENT,
) -> dict[str, str]:
    """The complete environment of a node started by the supervisor.

    Args:
        overrides: Variables of the caller's choice; they win over everything here.
        domain_id: ROS domain.
        local_only: See `transport_environment`.
        transport: The same.
    """
    environment = dict(os.environ)
    environment.update(transport_environment(environment, local_only=local_only, transport=transport))
    environment["ROS_DOMAIN_ID"] = str(domain_id)
    environment["PYTHONUNBUFFERED"] = "1"  # a node's last words must reach its log
    environment["PYTHONPATH"] = _joined(Path(spark_ros.__file__).resolve().parents[1], environment.get("PYTHONPATH"))
    # The wheels do not announce themselves to ament; under an apt ROS the prefix is listed already.
    if (Path(sys.prefix) / "share" / "ament_index").is_dir():
        environment["AMENT_PREFIX_PATH"] = _joined(sys.prefix, environment.get("AMENT_PREFIX_PATH"))
    library_path = environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    if WHEELS_GUARD in environment and str(Path(sys.prefix) / "lib") not in library_path:
        del environment[WHEELS_GUARD]  # set by another environment's Python: let the child find its own libraries
    environment.update(overrides or {})
    return environment


def _joined(first: str | Path, rest: str | None) -> str:
    parts = [part for part in (rest or "").split(os.pathsep) if part]
    return os.pathsep.join([str(first), *(part for part in parts if part != str(first))])
