"""Console node: serves the session as a web page, see `console.server` and docs/console.md.

It listens to what the other nodes say and calls their services; it publishes nothing that moves anything.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from rclpy.node import Node

from spark_ros.console.access import Access, is_loopback, new_token, token_from
from spark_ros.contracts import SparkError
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.ros_session import RosSession
from spark_ros.nodes.run import run

DEFAULTS = {
    "host": ("127.0.0.1", "address to listen at; 0.0.0.0 for every network, then with a token"),
    "port": (8088, "port; 0 for any that is free"),
    "token_file": ("", "file with the token, made if there is none; empty for a new token at every start"),
    "names": ([], "names that it is reached by besides the computer's own"),
    "remote_engage": (False, "whether viewers may engage where the page can be reached from other computers"),
    "picture_hz": (10.0, "most pictures per second of a camera"),
    "picture_width": (640, "pixels; wider pictures are made smaller"),
}


class ConsoleNode(Node):
    """The node; the server lives in a thread of its own."""

    def __init__(self) -> None:
        super().__init__("console")
        self._params = params = Parameters(self, DEFAULTS)
        try:
            from spark_ros.console.server import ConsoleServer, Options
        except ModuleNotFoundError as error:
            raise SparkError(
                f"the console needs the Python module {error.name}: pip install 'spark_ros[console]', or apt-get "
                "install python3-aiohttp"
            ) from error
        host, port = params["host"], params["port"]
        if not 0 <= port <= 65535 or params["picture_hz"] <= 0 or params["picture_width"] <= 0:
            raise SparkError("port is 0 to 65535, and picture_hz and picture_width are above 0: correct the parameters")
        token = self._token(host)
        own = (socket.gethostname(), socket.getfqdn()) if not is_loopback(host) else ()
        access = Access(host, token, (*own, *params["names"]))
        may_engage = not access.open or params["remote_engage"]
        options = Options(host, port, may_engage, params["picture_hz"], params["picture_width"])
        self._server = ConsoleServer(RosSession(self), access, options)
        self._server.start()
        self._address = f"http://{_shown(host)}:{self._server.port}/"
        # Not through the log, which goes to /rosout and to files.
        print(f"session console: {self._address}{'' if token is None else f'?token={token}'}", flush=True)
        Diagnostics(self, self._report)

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def _token(self, host: str) -> str | None:
        if path := self._params["token_file"]:
            return token_from(Path(path).expanduser())
        return None if is_loopback(host) else new_token()

    def _report(self) -> Health:
        return Health(Level.OK, f"serves {self._address}", {"viewers": self._server.viewers})


def _shown(host: str) -> str:
    """As it stands in an address that somebody opens."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def main() -> int:
    """Entry point of the executable `console`; with ``--terminal`` the same in this terminal."""
    if "--terminal" in sys.argv[1:]:
        from spark_ros.nodes.console_terminal import show_in_terminal

        return show_in_terminal()
    return run(ConsoleNode)


if __name__ == "__main__":
    raise SystemExit(main())
