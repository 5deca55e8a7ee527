"""One graph of ours per ROS domain: two gateways on one domain would both command the same arm.

A claim is an abstract Unix socket named after the domain. It lives in the network namespace, exactly as
far as DDS discovery on one machine reaches; the kernel drops it with its process, so a crash leaves nothing
behind; and whoever finds it taken can ask the kernel which process holds it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from spark_ros.contracts import SparkError

LAST_DOMAIN = 101  # beyond it the DDS ports reach into Linux's ephemeral range (32768 and up)
PORT_BASE, PORTS_PER_DOMAIN = 7400, 250  # RTPS 2.2, section 9.6.1.1


class DomainInUseError(SparkError):
    """A graph of ours runs on the domain already.

    Attributes:
        domain_id: The domain.
    """

    def __init__(self, domain_id: int, holder: str) -> None:
        super().__init__(
            f"ROS domain {domain_id} is in use: {holder} runs a spark_ros graph on it; stop that one, or choose "
            "another domain with domain:=<1..101> or domain:=auto"
        )
        self.domain_id = domain_id


class DomainClaim:
    """The right to run a graph on a domain, held until `release` or the end of the process."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id = domain_id
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(_address(domain_id))
            self._socket.listen(1)
        except OSError:
            self._socket.close()
            raise DomainInUseError(domain_id, _holder(domain_id)) from None

    def release(self) -> None:
        """Let others use the domain."""
        self._socket.close()


def claim_domain(wanted: str, environment: Mapping[str, str] | None = None) -> DomainClaim:
    """Claim the domain a graph is to run on.

    Args:
        wanted: A domain, ``auto`` for one on which nothing runs, or ``environment`` for `ROS_DOMAIN_ID`.
        environment: Variables that win over this process's own.

    Raises:
        SparkError: A graph of ours runs there already, no domain is free, or `wanted` is no domain.
    """
    environment = {**os.environ, **(environment or {})}
    if wanted == "auto":
        return _claim_free()
    text = (environment.get("ROS_DOMAIN_ID") or "0") if wanted == "environment" else wanted
    try:
        domain_id = int(text)
    except ValueError:
        domain_id = -1
    if not 0 <= domain_id <= 232:
        raise SparkError(f"'{text}' is no ROS domain: give a number from 0 to {LAST_DOMAIN}, or auto")
    return DomainClaim(domain_id)


def _claim_free() -> DomainClaim:
    """A domain that no DDS participant of this machine uses, whoever started it."""
    busy = _udp_ports()
    start = os.getpid() % LAST_DOMAIN  # spreads machines of one network and sessions of one machine
    for offset in range(LAST_DOMAIN):
        domain_id = 1 + (start + offset) % LAST_DOMAIN
        first = PORT_BASE + PORTS_PER_DOMAIN * domain_id
        if busy.isdisjoint(range(first, first + PORTS_PER_DOMAIN)):
            try:
                return DomainClaim(domain_id)
            except DomainInUseError:
                continue
    raise SparkError(f"every ROS domain from 1 to {LAST_DOMAIN} is in use on this machine; stop some ROS processes")


def _address(domain_id: int) -> str:
    return f"\0spark_ros.domain.{domain_id}"


def _holder(domain_id: int) -> str:
    """Who holds the claim, for a person to find."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.settimeout(1.0)
            asking.connect(_address(domain_id))
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid = struct.unpack("3i", credentials)[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it ended meanwhile, or lives in another container
            return "another process"
    return f"process {pid} ({command[:80]})"


def _udp_ports() -> set[int]:
    ports: set[int] = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:  # IPv6 switched off
            continue
        ports.update(int(row.split()[1].rsplit(":", 1)[1], 16) for row in rows)
    return ports
