"""Who may use the console: every rule, without a server."""

from __future__ import annotations

import stat
from http import HTTPStatus
from pathlib import Path

import pytest

from spark_ros.console.access import COMMAND_HEADER, Access, Head, is_loopback, new_token, token_from
from spark_ros.contracts import SparkError

TOKEN = "a-token-that-nobody-guesses"
LOCAL = Access("127.0.0.1", None)
OPEN = Access("0.0.0.0", TOKEN, ["robot.lab.example"])


def refused(access: Access, head: Head) -> tuple[HTTPStatus, str] | None:
    refusal = access.refusal(head)
    if refusal is None:
        return None
    assert refusal.message.count(". ") == 0, "one sentence"
    return refusal.status, refusal.message


def get(host: str = "127.0.0.1:8088", path: str = "/", token: str = "", upgrade: bool = False, **headers: str) -> Head:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head("GET", path, {"Host": host, **named}, token, upgrade)


def post(host: str = "127.0.0.1:8088", **headers: str) -> Head:
    return Head("POST", "/api/command/start", {"Host": host, COMMAND_HEADER: "1", **headers})


@pytest.mark.parametrize("host", ["127.0.0.1:8088", "localhost:8088", "127.0.0.1", "[::1]:9000", "LOCALHOST:1"])
def test_loopback_answers_by_its_own_names_on_any_forwarded_port(host: str) -> None:
    assert refused(LOCAL, get(host)) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8088", "127.0.0.1.evil.example", "192.168.1.5:8088", "", "[::1", "a@b@c"]
)
def test_another_name_for_this_address_is_refused(host: str) -> None:
    status, message = refused(LOCAL, get(host))
    assert status == HTTPStatus.FORBIDDEN and message.startswith("this console does not answer as")


def test_a_console_on_the_network_answers_by_address_and_by_the_names_it_was_given() -> None:
    for host in ("192.168.1.5:8088", "[fe80::1]:8088", "robot.lab.example:8088", "Robot.Lab.Example"):
        assert refused(OPEN, get(host, token=TOKEN)) is None
    assert refused(OPEN, get("evil.example:8088", token=TOKEN))[0] == HTTPStatus.FORBIDDEN
    assert refused(OPEN, get("", token=TOKEN))[0] == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "http://evil.example",
        "http://127.0.0.1:9999",
        "null",
        "file://",
        "http://127.0.0.1:8088.evil.example",
        "",
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    for head in (get(Origin=origin), get(Origin=origin, upgrade=True, path="/live"), post(Origin=origin)):
        assert refused(LOCAL, head)[0] == HTTPStatus.FORBIDDEN


def test_its_own_page_is_answered() -> None:
    own = "http://127.0.0.1:8088"
    assert refused(LOCAL, get(Origin=own, Sec_Fetch_Site="same-origin", upgrade=True, path="/live")) is None
    assert refused(LOCAL, post(Origin=own)) is None


def test_a_socket_says_where_it_comes_from() -> None:
    assert refused(LOCAL, get(path="/live", upgrade=True))[0] == HTTPStatus.FORBIDDEN


def test_another_site_may_link_to_the_page_and_load_nothing_else_of_it() -> None:
    for site in ("cross-site", "same-site"):
        assert refused(LOCAL, get(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")) is None
        assert refused(LOCAL, get(Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")) is not None
        assert refused(LOCAL, get(path="/api/episodes", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")) is not None


def test_commands_carry_a_header_that_no_form_can_send() -> None:
    status, message = refused(LOCAL, Head("POST", "/api/command/stop", {"Host": "127.0.0.1"}))
    assert status == HTTPStatus.FORBIDDEN and COMMAND_HEADER in message


def test_whoever_comes_from_the_network_needs_the_token() -> None:
    host = "192.168.1.5:8088"
    for head in (get(host), get(host, token="wrong"), get(host, token=TOKEN[:-1]), get(host, token="tökén")):
        status, message = refused(OPEN, head)
        assert status == HTTPStatus.UNAUTHORIZED and "asks for its token" in message
    assert refused(OPEN, get(host, token=TOKEN)) is None
    assert refused(OPEN, get(host, Authorization=f"Bearer {TOKEN}")) is None
    assert refused(OPEN, get(host, Authorization=f"Basic {TOKEN}")) is not None
    assert refused(OPEN, get(host, token=TOKEN, Authorization="Bearer wrong")) is not None
    assert refused(OPEN, post(host, Authorization=f"Bearer {TOKEN}")) is None


def test_the_network_without_a_token_and_a_token_that_is_none_are_refused() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "robot.lab.example", ""):
        with pytest.raises(SparkError, match="so it needs a token"):
            Access(host, None)
    for token in ("", "short", "x" * 15, "with a blank in between", "quotes;and=more-and-more"):
        with pytest.raises(SparkError, match="at least 16"):
            Access("0.0.0.0", token)


def test_loopback_may_ask_for_a_token_too() -> None:
    assert refused(Access("127.0.0.1", TOKEN), get())[0] == HTTPStatus.UNAUTHORIZED


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "robot", "", "localhost.evil.example")))


def test_a_token_file_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = token_from(path)
    assert len(token) >= 32 and token != new_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and token_from(path) == token
    path.chmod(0o644)
    with pytest.raises(SparkError, match=r"others may read the token .*: chmod 600"):
        token_from(path)
    with pytest.raises(SparkError, match="cannot use the token file"):
        token_from(tmp_path / "nowhere" / "token")
