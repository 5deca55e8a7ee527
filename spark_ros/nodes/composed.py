"""Several nodes in one process: saves two interpreters' memory; each node keeps its name, parameters and thread.

Images and features go from one to the other as they are, see `handover`; everything else through the middleware.

    composed [node ...] [--ros-args ...]      perception, policy and gateway unless named otherwise

A node rename (``-r __node:=``) would hit all of them: leave it out.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import rclpy
from rclpy.node import Node

from spark_ros.nodes.handover import HANDOVER
from spark_ros.nodes.run import REFUSED, run

# First the ones that are closed last: the gateway must be able to brake the simulated arm.
NODES = {"sim_arm": "SimArmNode", "perception": "PerceptionNode", "policy": "PolicyNode", "gateway": "GatewayNode"}
DEFAULT = ("perception", "policy", "gateway")


def main() -> int:
    """Entry point of the executable `composed`."""
    wanted = rclpy.utilities.remove_ros_args(sys.argv)[1:] or list(DEFAULT)
    unknown = [name for name in wanted if name not in NODES]
    if unknown:
        print(f"composed knows no node {', '.join(unknown)}: choose from {', '.join(NODES)}", file=sys.stderr)
        return REFUSED
    HANDOVER.is_open = True
    return run(*(_factory(name) for name in NODES if name in wanted))


def _factory(name: str) -> Callable[[], Node]:
    module = importlib.import_module(f"spark_ros.nodes.{name}")
    return getattr(module, NODES[name])


if __name__ == "__main__":
    raise SystemExit(main())
