"""The Franka Hand on the FCI: one command after the other, as its protocol has it.

What it is told are the goals of `control.gripper_goals`. None is broken off for another: the next one waits until the
hand is there, less than a second.
"""

from __future__ import annotations

import threading
import time

from spark_ros.control.gripper_goals import Goal, Move, Positions, TwoWays
from spark_ros.fci.connection import Address, first_line, load_franky, open_gripper

POLL_S = 0.02  # states of the hand; its fingers travel 2 mm meanwhile


class Hand:
    """A connected hand with two threads: one listens to it, one waits for what it was told."""

    def __init__(self, address: Address, positions: bool, speed: float, force: float) -> None:
        """Connects.

        Args:
            address: Of the robot.
            positions: Whether the hand goes to widths; it opens and closes otherwise.
            speed: m/s of its opening.
            force: N, when it closes.

        Raises:
            SparkError: There is no hand.
        """
        self._franky = load_franky()
        self._gripper = open_gripper(self._franky, address)
        self._speed, self._force = speed, force
        state = self._gripper.state
        self._width = float(state.width)
        self._max_width = float(state.max_width)
        self._kind = Positions if positions else TwoWays
        self._changed = threading.Condition()  # guards what follows
        self._plan: Positions | TwoWays | None = None
        self._goal: Goal | None = None
        self._error = ""
        self._closed = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._obey)]
        for thread in self._threads:
            thread.start()

    @property
    def width(self) -> float | None:
        """Opening, m, as last heard; None once the hand does not answer."""
        return None if self._error else self._width

    @property
    def error(self) -> str:
        """Why the hand does not answer any more, as a sentence; empty while it does."""
        return self._error

    def aim(self, target: float) -> None:
        """The opening, m, that is wanted now."""
        with self._changed:
            if self._plan is None:
                self._plan = self._kind(self._max_width, self._width)
            goal = self._plan.goal(target, time.monotonic())
            if goal is not None:
                self._goal = goal
                self._changed.notify()

    def forget(self) -> None:
        """Nobody commands any more: the next opening is compared with where the hand is then, not with this one."""
        with self._changed:
            self._plan = self._goal = None

    def close(self) -> None:
        """Ends the threads; a goal under way is still reached."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._threads[0].join()

    def _listen(self) -> None:
        while not self._closed and not self._error:
            try:
                self._width = float(self._gripper.state.width)
            except Exception as error:  # franky throws bare RuntimeErrors too; a thread that ends tells nobody
                self._lose(error)
            time.sleep(POLL_S)

    def _obey(self) -> None:
        while not self._error:
            with self._changed:
                self._changed.wait_for(lambda: self._goal is not None or self._closed)
                if self._closed:
                    return
                goal, self._goal = self._goal, None
            try:
                if isinstance(goal, Move):
                    self._gripper.move(goal.width, self._speed)
                else:  # whatever is between the fingers is what was meant
                    self._gripper.grasp(0.0, self._speed, self._force, epsilon_outer=self._max_width)
            except self._franky.CommandException:
                continue  # it was blocked or stopped on the way: it stays where it is, which its width tells
            except Exception as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        self._error = f"the hand does not answer any more ({first_line(error)}): look at it in Desk"
