"""Who may use the session console: decided from a request's head alone, before anything of it is done.

Other pages in the same browser, other names that lead to this address (DNS rebinding) and other people on the network
are what it guards against. Whoever may publish in the ROS graph can do all of this without a page.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from spark_ros.contracts import SparkError

COMMAND_HEADER = "X-Spark-Console"  # a page of another origin cannot send it without being asked first (CORS)
LEAST_TOKEN = 16  # characters: what can be guessed is no token
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")  # what stands in an address and in a cookie as it is

# What a browser may do with the page: its own scripts, styles, pictures and sockets, and nothing from anywhere else.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "spark_ros",
}


@dataclass(frozen=True)
class Head:
    """What of a request decides.

    Attributes:
        method: GET or POST.
        path: Without its query.
        headers: By name, whatever its capitals.
        cookie_token: The token in its cookie; empty without.
        upgrade: Whether it asks for a WebSocket.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    cookie_token: str = ""
    upgrade: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: a status and a sentence."""

    status: HTTPStatus
    message: str


class Access:
    """The rules of one server.

    Args:
        host: The address that it listens at.
        token: What whoever comes must know; None for nothing, on loopback only.
        names: Names, besides its own, that it is reached by.

    Raises:
        SparkError: It listens to the network without a token, or the token can be guessed.
    """

    def __init__(self, host: str, token: str | None, names: Collection[str] = ()) -> None:
        self.open = not is_loopback(host)
        if self.open and token is None:
            raise SparkError(f"a console at {host} can be reached from other computers, so it needs a token")
        if token is not None and (len(token) < LEAST_TOKEN or not _TOKEN.fullmatch(token)):
            raise SparkError(f"the token must be at least {LEAST_TOKEN} letters, digits and any of - . _ ~")
        self._token = token
        self._names = {"localhost", host.lower(), *(name.lower() for name in names)} - {""}

    @property
    def needs_token(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None

    def knows(self, token: str) -> bool:
        """Whether it is the token; takes as long for a near miss as for any other."""
        return self._token is None or hmac.compare_digest(self._token.encode(), token.encode())

    def refusal(self, head: Head) -> Refusal | None:
        """Why not; None where the request may be answered."""
        for rule in (self._host, self._origin, self._site, self._identity, self._intent):
            if (refusal := rule(head)) is not None:
                return refusal
        return None

    def _host(self, head: Head) -> Refusal | None:
        host = head.headers.get("Host", "")
        name = _name(host)
        if name in self._names:
            return None
        address = _address(name)  # a name can be made to lead here by whoever owns it, an address cannot
        if address is not None and (self.open or address.is_loopback):
            return None
        known = ", ".join(sorted(self._names - {"0.0.0.0", "::"}))
        return Refusal(
            HTTPStatus.FORBIDDEN,
            f"this console does not answer as {host[:100]!r}: open it by its address or as {known}, or add the name to "
            "its parameter names",
        )

    def _origin(self, head: Head) -> Refusal | None:
        origin = head.headers.get("Origin")
        if origin is None and not head.upgrade:
            return None
        host = head.headers.get("Host", "")
        if origin in (f"http://{host}", f"https://{host}"):
            return None
        return Refusal(HTTPStatus.FORBIDDEN, f"this console answers its own page only, not {(origin or 'none')[:100]}")

    def _site(self, head: Head) -> Refusal | None:
        site = head.headers.get("Sec-Fetch-Site")
        if site in (None, "same-origin", "none"):
            return None
        if head.method == "GET" and head.path == "/" and head.headers.get("Sec-Fetch-Mode") == "navigate":
            return None  # a link to the page
        return Refusal(HTTPStatus.FORBIDDEN, "this console answers its own page only, not another site's")

    def _identity(self, head: Head) -> Refusal | None:
        scheme, _, bearer = head.headers.get("Authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else head.cookie_token
        if self.knows(given):
            return None
        return Refusal(
            HTTPStatus.UNAUTHORIZED,
            "this console asks for its token: open the address that it printed when it was started",
        )

    def _intent(self, head: Head) -> Refusal | None:
        if head.method == "GET" or head.headers.get(COMMAND_HEADER) == "1":
            return None
        return Refusal(HTTPStatus.FORBIDDEN, f"commands carry the header {COMMAND_HEADER}: 1")


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach what listens there."""
    address = _address(host)
    return address.is_loopback if address is not None else host.lower() == "localhost"


def new_token() -> str:
    """One that nobody guesses: 192 bits."""
    return secrets.token_urlsafe(24)


def token_from(path: Path) -> str:
    """The token in a file, which is made with a new one, for its owner's eyes, where there is none.

    Raises:
        SparkError: It cannot be read or made, or others may read it.
    """
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                raise SparkError(f"others may read the token in {path}: chmod 600 {path}") from None
            return path.read_text(encoding="utf-8").strip()
        token = new_token()
        with os.fdopen(descriptor, "w") as stream:
            stream.write(token + "\n")
        return token
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SparkError(f"cannot use the token file {path} ({reason}): name another one") from error


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
