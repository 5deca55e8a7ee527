"""The driver of the simulated arm: a controller behind the switches of a teach pendant.

A robot whose program does not run lets nothing through, and forgets what it was told: when the program is started again
the arm stays where it is until a new command arrives. A protective stop stops the program too, and unlocking it does
not start the program again: somebody must press stop and play.
"""

from __future__ import annotations

from spark_ros.adapters.base import Outgoing
from spark_ros.contracts import FloatArray, SparkError
from spark_ros.sim.controllers import Controller


class Driver:
    """See the module's text.

    Attributes:
        scaling: The speed slider, 0 to 1.
    """

    def __init__(self, controller: Controller) -> None:
        """With its program running, at full speed; call `start` before anything else."""
        self.scaling = 1.0
        self._controller = controller
        self._running = True
        self._stopped_by_itself = False

    @property
    def form(self) -> type[Outgoing]:
        """What it takes."""
        return self._controller.form

    @property
    def running(self) -> bool:
        """Whether the program runs that lets commands through."""
        return self._running

    def start(self, position: FloatArray) -> None:
        """Holds the arm here (J,), rad."""
        self._held = position
        self._controller.start(position)

    def switch(self, running: bool, position: FloatArray, protective_stop: bool = False) -> None:
        """Starts or stops the program; both forget what was commanded.

        Args:
            running: What was pressed on the pendant, play or stop.
            position: (J,) rad, where the arm is.
            protective_stop: Whether the robot has stopped by itself and is not yet unlocked.
        """
        self._stopped_by_itself = protective_stop or (self._stopped_by_itself and running)
        running = running and not self._stopped_by_itself
        if running != self._running:
            self._running = running
            self.start(position)

    def accept(self, message: Outgoing, position: FloatArray, velocity: FloatArray) -> None:
        """Takes a command; see `Controller.accept`.

        Raises:
            SparkError: It was refused.
        """
        if not self._running:
            raise SparkError("command ignored: the robot's program is not running; start it")
        self._controller.accept(message, position, velocity)

    def step(self, elapsed_s: float) -> FloatArray:
        """(J,) rad, the setpoint after this time."""
        return self._controller.step(elapsed_s, self.scaling) if self._running else self._held
