"""How a Rerun viewer arranges an exported episode, and under which names its parts lie there.

Imported only where `rerun` is installed.
"""

from __future__ import annotations

from collections.abc import Sequence

import rerun.blueprint as rrb

APPLICATION = "spark_ros"  # viewers keep one arrangement per application
STAMP, ELAPSED = "stamp", "since_start"  # timelines: header stamps, and the time since the first of them
WORLD, EPISODE = "world", "episode"
TOOL, TOOL_COMMANDED = f"{WORLD}/tool/measured", f"{WORLD}/tool/commanded"
PATH = f"{WORLD}/path"
GRIPPER_MEASURED, GRIPPER_COMMANDED = "gripper/measured", "gripper/commanded"
MODE, DRIVER, TELEOP = "labels/mode", "labels/driver", "labels/teleop"


def camera(name: str) -> str:
    """Where a camera's frames lie."""
    return f"camera/{name}"


def joint(kind: str, name: str) -> str:
    """Where a joint's position lies; `kind` is measured, commanded or speed."""
    return f"joints/{kind}/{name}"


def layout(cameras: Sequence[str], joints: Sequence[str]) -> rrb.Blueprint:
    """Cameras and tool above, labels and plots below, what is said of the episode beside them."""
    pictures = [rrb.Spatial2DView(origin=camera(name), name=name) for name in cameras]
    plots = [
        rrb.TimeSeriesView(name=name, contents=[joint("measured", name), joint("commanded", name)]) for name in joints
    ]
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Horizontal(*pictures, rrb.Spatial3DView(origin=WORLD, name="tool")),
                rrb.StateTimelineView(origin="labels", name="mode and labels"),
                rrb.Tabs(
                    rrb.Grid(*plots, name="joints (rad)"),
                    rrb.TimeSeriesView(origin="joints/speed", name="speeds (rad/s)"),
                    rrb.TimeSeriesView(origin="gripper", name="gripper (m)"),
                ),
                row_shares=[3, 2, 3],
            ),
            rrb.TextDocumentView(origin=EPISODE, name="episode"),
            column_shares=[4, 1],
        ),
        rrb.TimePanel(timeline=ELAPSED),
        auto_views=False,
        collapse_panels=True,
    )
