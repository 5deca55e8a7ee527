"""The console's server, in this process, against a session without ROS, asked as no honest browser would."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import aiohttp
import cv2
import numpy as np
import pytest
from fake_session import FakeSession

from spark_ros.console.access import COMMAND_HEADER, Access
from spark_ros.console.server import MOST_BODY, MOST_SOCKETS, ConsoleServer, Options
from spark_ros.console.session import Command, GatewayView, RecorderView
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.recorder_status import RecorderState

TOKEN = "a-token-that-nobody-guesses"


class Browser:
    """Asks as a browser does, or as somebody who pretends to be one."""

    def __init__(self, server: ConsoleServer) -> None:
        self.server, self.host = server, f"127.0.0.1:{server.port}"
        self.origin = f"http://{self.host}"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        connection.request(method, path, content, named)
        response = connection.getresponse()
        answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        status, _, content = self.ask("GET", path, **headers)
        return status, content

    def post(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        status, _, content = self.ask("POST", path, body or {}, Origin=self.origin, X_Spark_Console="1", **headers)
        return status, content

    def talk(
        self, path: str, say: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]], **headers: str
    ) -> None:
        async def speak() -> None:
            async with aiohttp.ClientSession() as session:
                about = {"Origin": self.origin, **headers}
                async with session.ws_connect(f"{self.origin}{path}", headers=about, max_msg_size=0) as ws:
                    await say(ws)

        asyncio.run(asyncio.wait_for(speak(), 30))


@pytest.fixture
def session(demos: DemoFolder) -> FakeSession:
    return FakeSession(demos.path)


@pytest.fixture
def page(session: FakeSession) -> Iterator[Browser]:
    server = ConsoleServer(session, Access("127.0.0.1", None), Options("127.0.0.1", 0, may_engage=True, picture_hz=50))
    server.start()
    yield Browser(server)
    server.close()


@pytest.fixture
def remote(session: FakeSession) -> Iterator[Browser]:
    """Reachable from other computers as far as its rules go."""
    server = ConsoleServer(session, Access("0.0.0.0", TOKEN), Options("127.0.0.1", 0, may_engage=False))
    server.start()
    yield Browser(server)
    server.close()


def until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


# --- who may ---------------------------------------------------------------------------------------------------------


def test_the_page_and_its_parts_come_with_a_policy_that_keeps_everything_else_out(page: Browser) -> None:
    for path, kind in (("/", "text/html"), ("/console.css", "text/css"), ("/console.js", "text/javascript")):
        status, headers, content = page.ask("GET", path)
        assert status == 200 and headers["content-type"].startswith(kind) and content
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in headers)
    _, _, html = page.ask("GET", "/")
    assert b"http://" not in html and b"https://" not in html and b"style=" not in html and b"onclick" not in html


@pytest.mark.parametrize("path", ["/api/episodes", "/live", "/console.js", "/"])
def test_another_name_for_the_address_is_refused_in_one_sentence(page: Browser, path: str) -> None:
    status, content = page.get(path, Host=f"evil.example:{page.server.port}")
    assert status == 403 and content.decode().startswith("this console does not answer as 'evil.example")
    assert content.count(b"\n") == 1


def test_commands_of_foreign_pages_do_nothing(page: Browser, session: FakeSession) -> None:
    tries = (
        {"Origin": "http://evil.example", "X_Spark_Console": "1"},
        {"Origin": "null", "X_Spark_Console": "1"},
        {"Origin": page.origin},  # a form of its own page cannot send the header either
        {"X_Spark_Console": "1", "Sec_Fetch_Site": "cross-site"},
        {"X_Spark_Console": "1", "Host": "evil.example"},
        {"Content_Type": "text/plain"},
    )
    for headers in tries:
        for path in ("/api/command/stop", "/api/task", "/api/episodes/episode_000001.mcap/mark"):
            status, _, _ = page.ask("POST", path, {"task": "x", "success": True}, **headers)
            assert status == 403, headers
    status, headers, _ = page.ask(
        "OPTIONS", "/api/command/stop", Origin="http://evil.example", Access_Control_Request_Method="POST"
    )
    assert status == 403 and not any(name.startswith("access-control") for name in headers)
    assert page.get("/api/command/stop")[0] == 405
    assert session.asked == []


@pytest.mark.parametrize("path", ["/live", "/camera/front"])
def test_a_socket_of_a_foreign_page_is_refused(page: Browser, path: str) -> None:
    async def nothing(_: object) -> None: ...

    for origin in ("http://evil.example", "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            page.talk(path, nothing, Origin=origin)
        assert refusal.value.status == 403
    assert page.server.viewers == 0


def test_without_the_token_nothing_is_answered_and_nothing_done(remote: Browser, session: FakeSession) -> None:
    for path in ("/", "/console.js", "/live", "/api/episodes", "/api/episodes/episode_000001.mcap/first.jpg"):
        status, content = remote.get(path)
        assert status == 401 and b"asks for its token" in content
    assert remote.post("/api/command/stop")[0] == 401
    assert remote.get("/", Cookie=f"{remote.server.cookie}=wrong")[0] == 401
    assert remote.get("/?token=wrong")[0] == 401
    assert remote.get(f"/api/episodes?token={TOKEN}")[0] == 401  # only the page takes it from the address
    assert remote.get(f"/?token={TOKEN}", Host="evil.example")[0] == 403
    assert session.asked == []


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_and_other_sites_never_see(remote: Browser) -> None:
    status, headers, _ = remote.ask("GET", f"/?token={TOKEN}")
    assert status == 303 and headers["location"] == "/" and TOKEN not in headers["location"]
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and f"spark_console_{remote.server.port}=" in cookie
    pair = cookie.partition(";")[0]
    assert remote.get("/", Cookie=pair)[0] == 200
    assert remote.post("/api/command/stop", Cookie=pair)[0] == 200
    assert remote.get("/api/episodes", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_from_afar_one_may_stop_and_record_but_not_engage(remote: Browser, session: FakeSession) -> None:
    session.now = replace(session.now, gateway=GatewayView(True, "idle"))
    key = {"Authorization": f"Bearer {TOKEN}"}
    for command in Command:
        status, content = remote.post(f"/api/command/{command.value}", **key)
        assert (status == 403 and b"may not engage" in content) == command.engages
    assert not {command for command in session.asked if isinstance(command, Command) and command.engages}


def test_nothing_is_served_but_what_is_named(page: Browser) -> None:
    for path in (
        "/index.html", "/console/", "/page/index.html", "/..", "/%2e%2e/setup.py", "/console.js/../server.py",
        "/camera/", "/api", "/api/command/", "/favicon.ico", "/static/", "//etc/passwd",
    ):  # fmt: skip
        assert page.get(path)[0] in (403, 404), path
    for file in ("../index.json", "/etc/passwd", "..", "index.json", ".lock", "episode_000009.mcap", "a" * 500):
        status, content = page.get(f"/api/episodes/{quote(file, safe='')}/first.jpg")
        assert status == 404 and content[:2] != b"\xff\xd8", file
    assert page.get("/api/episodes/episode_000001.mcap/middle.jpg")[0] == 404


def test_two_consoles_do_not_share_a_port(page: Browser, session: FakeSession) -> None:
    second = ConsoleServer(session, Access("127.0.0.1", None), Options("127.0.0.1", page.server.port, may_engage=True))
    with pytest.raises(SparkError, match=r"cannot listen at 127.0.0.1:\d+ .*: choose another address or port"):
        second.start()


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_a_command_is_passed_on_and_its_answer_comes_back(page: Browser, session: FakeSession) -> None:
    status, content = page.post("/api/command/start")
    assert status == 200 and json.loads(content) == {"outcome": "done", "message": "start"}
    status, content = page.post("/api/command/keep")
    assert status == 409 and json.loads(content)["outcome"] == "refused"
    session.now = replace(session.now, gateway=GatewayView(False))
    status, content = page.post("/api/command/stop")
    assert status == 504 and json.loads(content) == {"outcome": "unanswered", "message": "no service"}
    assert session.asked == [Command.START, Command.KEEP, Command.STOP]
    assert page.post("/api/command/dance")[0] == 404


def test_task_note_and_marks_are_passed_on(page: Browser, session: FakeSession) -> None:
    assert page.post("/api/task", {"task": " fold the towel "})[0] == 200
    assert page.post("/api/episodes/episode_000001.mcap/mark", {"success": False})[0] == 200
    assert page.post("/api/episodes/episode_000001.mcap/mark", {"note": "slow", "success": True})[0] == 200
    assert session.asked == [
        ("task", "fold the towel"),
        ("mark", "episode_000001.mcap", False, None),
        ("mark", "episode_000001.mcap", True, "slow"),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/task", b"not json"),
        ("/api/task", b"\xff\xfe"),
        ("/api/task", ["task"]),
        ("/api/task", {"task": 3}),
        ("/api/task", {"task": ""}),
        ("/api/task", {"task": "two\nlines"}),
        ("/api/task", {"task": "x" * 301}),
        ("/api/task", {"task": "x", "robot": "y"}),
        ("/api/episodes/a.mcap/mark", {}),
        ("/api/episodes/a.mcap/mark", {"success": 1}),
        ("/api/episodes/a.mcap/mark", {"success": None, "note": "x" * 2001}),
        ("/api/episodes/a.mcap/mark", {"file": "b.mcap", "success": True}),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    page: Browser, session: FakeSession, path: str, body: object
) -> None:
    status, _, content = page.ask("POST", path, body, X_Spark_Console="1")
    assert status == 400 and content.count(b"\n") == 1 and b"Traceback" not in content
    assert session.asked == []


def test_a_body_without_end_is_refused(page: Browser) -> None:
    assert page.post("/api/task", {"task": "x" * MOST_BODY})[0] == 413


def test_a_stop_does_not_wait_for_an_episode_that_is_being_closed(page: Browser, session: FakeSession) -> None:
    session.delay_s = 1.0
    waiting = [HTTPConnection("127.0.0.1", page.server.port) for _ in range(8)]
    for connection in waiting:
        connection.request("POST", "/api/command/start", b"{}", {COMMAND_HEADER: "1"})
    assert until(lambda: Command.START in session.asked)
    assert page.post("/api/command/stop")[0] == 200
    assert Command.STOP in session.asked and session.asked.count(Command.START) < 8  # some of them still wait
    for connection in waiting:
        connection.close()


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_viewer_is_told_and_told_at_once_when_the_mode_changes(page: Browser, session: FakeSession) -> None:
    async def watch(ws: aiohttp.ClientWebSocketResponse) -> None:
        told = await ws.receive_json()
        assert told["gateway"]["mode"] == "idle" and told["recorder"]["status"]["state"] == "ready"
        assert "start" in told["allowed"] and "engage_teleop" in told["allowed"] and "keep" not in told["allowed"]
        assert "secret" not in json.dumps(told) and told["viewers"] == 1
        session.change(state=RecorderState.RECORDING, episode="episode_000004.mcap")
        while told["recorder"]["status"]["state"] != "recording":
            told = await ws.receive_json()
        assert "keep" in told["allowed"] and "start" not in told["allowed"]
        session.now = replace(session.now, gateway=GatewayView(False), recorder=RecorderView(False))
        while told["gateway"]["present"]:
            told = await ws.receive_json()
        assert told["allowed"] == ["stop"] and told["recorder"]["status"] is None

    page.talk("/live", watch)
    assert until(lambda: page.server.viewers == 0)


def test_a_camera_is_received_only_while_somebody_looks(page: Browser, session: FakeSession) -> None:
    async def look(ws: aiohttp.ClientWebSocketResponse) -> None:
        shades = []
        for _ in range(4):
            await ws.send_str("next")
            picture = cv2.imdecode(np.frombuffer(await ws.receive_bytes(), np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (240, 640, 3)  # made smaller
            shades.append(int(picture[0, 0, 0]))
        assert len(set(shades)) > 1
        assert session.watched == {"front"}
        session.silent = True
        await ws.send_str("next")
        while (message := await ws.receive()).type is aiohttp.WSMsgType.BINARY:
            await ws.send_str("next")
        assert message.data == "camera front is silent"

    assert session.watched == set()
    page.talk("/camera/front", look)
    assert until(lambda: session.watched == set())
    assert page.get("/camera/../../etc")[0] == 404 and page.get("/camera/rear")[0] == 404


def test_a_viewer_that_does_not_read_holds_up_nobody(page: Browser, session: FakeSession) -> None:
    """It asks for pictures without end and takes none of them; another one goes on as if it were not there."""
    slow = socket.create_connection(("127.0.0.1", page.server.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.sendall(
        f"GET /camera/front HTTP/1.1\r\nHost: {page.host}\r\nOrigin: {page.origin}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    slow.sendall(b"\x81\x84\0\0\0\0next" * 2000)

    async def look(ws: aiohttp.ClientWebSocketResponse) -> None:
        for _ in range(10):
            await ws.send_str("next")
            assert await asyncio.wait_for(ws.receive_bytes(), 5)

    page.talk("/camera/front", look)
    assert page.post("/api/command/stop")[0] == 200
    slow.close()
    assert until(lambda: session.watched == set(), 30)


def test_the_end_does_not_wait_for_viewers_that_have_gone(session: FakeSession) -> None:
    server = ConsoleServer(session, Access("127.0.0.1", None), Options("127.0.0.1", 0, may_engage=True))
    server.start()
    gone = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(6)]
    for viewer in gone:
        viewer.sendall(
            b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    assert until(lambda: server.viewers == 6)
    begun = time.monotonic()
    server.close()
    assert time.monotonic() - begun < 8.0
    for viewer in gone:
        viewer.close()


def test_there_is_a_most_of_sockets(page: Browser) -> None:
    async def crowd() -> None:
        async with aiohttp.ClientSession() as client:
            about = {"Origin": page.origin}
            open_now = [await client.ws_connect(f"{page.origin}/live", headers=about) for _ in range(MOST_SOCKETS)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await client.ws_connect(f"{page.origin}/live", headers=about)
            assert refusal.value.status == 503
            for ws in open_now:
                await ws.close()

    asyncio.run(asyncio.wait_for(crowd(), 30))
    assert until(lambda: page.server.viewers == 0)


def test_episodes_are_listed_newest_first_in_parts(page: Browser, session: FakeSession, tmp_path: Path) -> None:
    status, content = page.get("/api/episodes?from=0&count=2")
    values = json.loads(content)
    assert status == 200 and (values["total"], values["successes"], values["flagged"]) == (3, 2, 1)
    assert [entry["file"] for entry in values["episodes"]] == ["episode_000003.mcap", "episode_000002.mcap"]
    assert json.loads(page.get("/api/episodes?from=2&count=99999")[1])["episodes"][0]["file"] == "episode_000001.mcap"
    for query in ("from=-1", "count=x", "from=99999999999"):
        assert page.get(f"/api/episodes?{query}")[0] == 400
    session.change(folder=str(tmp_path / "nowhere"))
    status, content = page.get("/api/episodes")
    assert status == 404 and b"there is no folder" in content
    session.now = replace(session.now, recorder=RecorderView(False))
    assert b"only it knows the folder" in page.get("/api/episodes")[1]


def test_thumbnails_show_the_ends_of_an_episode(page: Browser) -> None:
    reds = []
    for which in ("first", "last"):
        status, headers, content = page.ask("GET", f"/api/episodes/episode_000003.mcap/{which}.jpg?sha=abc")
        assert status == 200 and headers["content-type"] == "image/jpeg" and "immutable" in headers["cache-control"]
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        reds.append(int(picture[..., 2].mean()))
    assert reds[1] > reds[0]  # the synthetic camera's red grows with time
