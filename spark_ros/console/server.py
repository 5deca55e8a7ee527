"""The session console's web server: a page, what it shows, and the few commands it may send.

Runs in a thread of its own, so that no viewer ever delays a ROS callback. Whoever may use it is decided in `access`,
for every request. Nothing is served that is not named here: there is no folder of files behind it.

aiohttp, because it is one small library for HTTP and WebSockets that Debian and Ubuntu package too.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http import HTTPStatus
from importlib import resources
from typing import Any

from aiohttp import WSMsgType, web

from spark_ros.console.access import HEADERS, Access, Head
from spark_ros.console.pictures import LivePictures
from spark_ros.console.session import Answer, Command, Level, Outcome, Session, Snapshot
from spark_ros.console.shelf import Shelf
from spark_ros.contracts import SparkError

TELL_S, LOOK_S = 0.25, 0.05  # how often viewers are told, and how soon of a change of mode
SEND_S, HEARTBEAT_S = 5.0, 5.0  # a viewer that takes longer has gone
CLOSE_S = 1.0  # for a viewer to say goodbye
MOST_SOCKETS = 24  # a page has one and one for each camera: eight people with two cameras
MOST_BODY = 16 * 1024
LONGEST_TASK, LONGEST_NOTE = 300, 2000  # characters
MOST_NODES = 30  # those that are not well first
LARGEST_PAGE = 200  # episodes in one answer
BACKGROUND_NICE = 10  # packing pictures must not take the processor from the recorder or the gateway
_FILES = {
    "/": ("index.html", "text/html"),
    "/console.css": ("console.css", "text/css"),
    "/console.js": ("console.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS = {Outcome.DONE: 200, Outcome.REFUSED: 409, Outcome.UNANSWERED: 504}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Options:
    """How a console is served.

    Attributes:
        host: Address to listen at.
        port: Port; 0 for any that is free.
        may_engage: Whether viewers may engage teleoperation and the policy.
        picture_hz: Most pictures per second of a camera.
        picture_width: Wider ones are made smaller, pixels.
    """

    host: str
    port: int
    may_engage: bool
    picture_hz: float = 10.0
    picture_width: int = 640


class ConsoleServer:
    """The server, from `start` to `close`.

    Args:
        session: What is shown and commanded.
        access: Who may.
        options: How.

    Attributes:
        viewers: Pages that are open now.
    """

    def __init__(self, session: Session, access: Access, options: Options) -> None:
        self._session, self._access, self._options = session, access, options
        self.viewers = 0
        self.port = options.port
        self._sockets: set[web.WebSocketResponse] = set()
        self._shelf = Shelf()
        self._files = {path: (_file(name), kind) for path, (name, kind) in _FILES.items()}
        # A stop waits behind nothing: neither behind an episode that is being closed nor behind pictures.
        self._stops = ThreadPoolExecutor(4, thread_name_prefix="stop")
        self._commands = ThreadPoolExecutor(4, thread_name_prefix="command")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="pictures", initializer=_be_nice)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="episodes", initializer=_be_nice)
        self._pictures = LivePictures(session, self._background, 1.0 / options.picture_hz, options.picture_width)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="console", daemon=True)
        self._runner: web.AppRunner | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            SparkError: The address cannot be had.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError as error:
            self.close()
            raise SparkError(
                f"the console cannot listen at {self._options.host}:{self._options.port} ({error.strerror}): choose "
                "another address or port"
            ) from error

    def close(self) -> None:
        """Send everybody away; may be called again."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10.0)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        for pool in (self._stops, self._commands, self._background, self._reading):
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def cookie(self) -> str:
        """Its name; cookies know no ports, and two consoles on a computer have a token each."""
        return f"spark_console_{self.port}"

    def application(self) -> web.Application:
        """Every address that is answered."""
        app = web.Application(middlewares=[self._guard], client_max_size=MOST_BODY)
        app.on_response_prepare.append(_add_headers)
        for path in self._files:
            app.router.add_get(path, self._serve_file, allow_head=False)
        get, post = app.router.add_get, app.router.add_post
        get("/live", self._serve_live, allow_head=False)
        get("/camera/{name}", self._serve_camera, allow_head=False)
        get("/api/episodes", self._serve_episodes, allow_head=False)
        get("/api/episodes/{file}/{which:first|last}.jpg", self._serve_thumbnail, allow_head=False)
        post("/api/command/{name}", self._serve_command)
        post("/api/task", self._serve_task)
        post("/api/episodes/{file}/mark", self._serve_mark)
        return app

    async def _listen(self) -> None:
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(runner, self._options.host, self._options.port)
        await site.start()
        self.port = int(runner.addresses[0][1])

    async def _end(self) -> None:
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- every request -----------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse first; whatever goes wrong afterwards is one sentence, too."""
        if request.path == "/" and request.method == "GET" and "token" in request.query and self._access.needs_token:
            return self._log_in(request)
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        cookie = request.cookies.get(self.cookie, "")
        refusal = self._access.refusal(Head(request.method, request.path, request.headers, cookie, upgrade))
        if refusal is not None:
            return _sentence(refusal.status, refusal.message)
        try:
            return await handler(request)
        except SparkError as error:
            return _sentence(HTTPStatus.NOT_FOUND, str(error))
        except web.HTTPException as error:
            reason = error.reason if error.status not in (404, 405) else f"the console has no {request.path[:100]}"
            return _sentence(HTTPStatus(error.status), reason)

    def _log_in(self, request: web.Request) -> web.StreamResponse:
        """A token in the address becomes a cookie, and the address forgets it."""
        headers = request.headers.copy()
        headers["Authorization"] = f"Bearer {request.query['token']}"
        refusal = self._access.refusal(Head("GET", "/", headers))
        if refusal is not None:
            return _sentence(refusal.status, refusal.message)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        response.set_cookie(self.cookie, request.query["token"], httponly=True, samesite="Strict", path="/")
        return response

    async def _serve_file(self, request: web.Request) -> web.StreamResponse:
        content, kind = self._files[request.path]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    # --- what is shown -----------------------------------------------------------------------------------------------

    async def _serve_live(self, request: web.Request) -> web.StreamResponse:
        """The snapshot, again and again; to a slow viewer less often, and always the newest."""
        socket = await self._open(request)
        self.viewers += 1
        listening = asyncio.ensure_future(_drain(socket))  # answers pings, and notices that the viewer has gone
        told, sent = object(), float("-inf")
        try:
            while not listening.done():
                snapshot = self._session.snapshot()
                urgent, now = self._urgent(snapshot), time.monotonic()
                if urgent != told or now - sent >= TELL_S:
                    told, sent = urgent, now
                    await asyncio.wait_for(socket.send_str(self._text(snapshot)), SEND_S)
                await asyncio.wait({listening}, timeout=LOOK_S)
        except (ConnectionError, asyncio.TimeoutError):
            pass  # it has gone
        finally:
            self.viewers -= 1
            self._sockets.discard(socket)
            listening.cancel()
            await socket.close()
        return socket

    async def _serve_camera(self, request: web.Request) -> web.StreamResponse:
        """A picture for each that is asked for, with a sentence in its place where there is none."""
        camera = request.match_info["name"]
        if camera not in self._session.snapshot().cameras:
            raise SparkError(f"there is no camera {camera[:100]!r}")
        socket, seen = await self._open(request), 0
        try:
            with self._pictures.watching(camera):
                async for message in socket:
                    if message.type is not WSMsgType.TEXT:
                        break
                    try:
                        picture = await self._pictures.next(camera, seen)
                    except SparkError as error:
                        await socket.send_str(str(error))
                        continue
                    if picture is None:
                        await socket.send_str(f"camera {camera} is silent")
                    else:
                        seen, jpeg = picture
                        await asyncio.wait_for(socket.send_bytes(jpeg), SEND_S)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        finally:
            self._sockets.discard(socket)
            await socket.close()
        return socket

    async def _open(self, request: web.Request) -> web.WebSocketResponse:
        if len(self._sockets) >= MOST_SOCKETS:
            raise web.HTTPServiceUnavailable(reason=f"{MOST_SOCKETS} connections are open already")
        socket = web.WebSocketResponse(timeout=CLOSE_S, heartbeat=HEARTBEAT_S, max_msg_size=1024, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        return socket

    async def _serve_episodes(self, request: web.Request) -> web.StreamResponse:
        begin, count = _number(request, "from", 0), min(_number(request, "count", 60), LARGEST_PAGE)
        folder = self._folder()
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(self._reading, self._shelf.page, folder, begin, count)
        return web.json_response(page.to_values())

    async def _serve_thumbnail(self, request: web.Request) -> web.StreamResponse:
        folder, file, last = self._folder(), request.match_info["file"], request.match_info["which"] == "last"
        loop = asyncio.get_running_loop()
        jpeg = await loop.run_in_executor(self._reading, lambda: self._shelf.thumbnail(folder, file, last=last))
        return web.Response(
            body=jpeg, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400, immutable"}
        )

    def _folder(self) -> str:
        status = self._session.snapshot().recorder.status
        if status is None:
            raise SparkError("no recorder is there, and only it knows the folder: start it, or wait for it")
        return status.folder

    def _allows(self, snapshot: Snapshot, command: Command) -> bool:
        return snapshot.allows(command) and (self._options.may_engage or not command.engages)

    def _urgent(self, snapshot: Snapshot) -> object:
        """What a viewer is told of at once."""
        status = snapshot.recorder.status
        recorder = None if status is None else (status.state, status.kept, status.marks, status.episode, status.success)
        return snapshot.gateway.present, snapshot.gateway.mode, recorder

    def _text(self, snapshot: Snapshot) -> str:
        """A snapshot as it is sent."""
        allowed = [command.value for command in Command if self._allows(snapshot, command)]
        # What nodes measure is not shown; it would be most of the bytes. A driver may report on a hundred parts.
        worst = sorted(snapshot.nodes, key=lambda node: node.level is Level.OK)[:MOST_NODES]
        shown = sorted(worst, key=lambda node: node.name)
        nodes = [{"name": n.name, "level": n.level, "message": n.message, "age_s": n.age_s} for n in shown]
        about = {"allowed": allowed, "may_engage": self._options.may_engage, "viewers": self.viewers, "nodes": nodes}
        return json.dumps({**asdict(snapshot), **about})

    # --- what is commanded -------------------------------------------------------------------------------------------

    async def _serve_command(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in {command.value for command in Command}:
            raise SparkError(f"there is no command {name[:100]!r}")
        command = Command(name)
        if command.engages and not self._options.may_engage:
            return _sentence(
                HTTPStatus.FORBIDDEN,
                "this console may not engage, since it can be used from other computers: engage beside the arm, or set "
                "its parameter remote_engage",
            )
        pool = self._stops if command is Command.STOP else self._commands
        return await self._ask(pool, lambda: self._session.command(command))

    async def _serve_task(self, request: web.Request) -> web.StreamResponse:
        task = _text_of(await _body(request, {"task"}), "task", LONGEST_TASK)
        if not task.strip() or not task.isprintable():
            return _sentence(HTTPStatus.BAD_REQUEST, "a task is one line of text: say in words what the episodes show")
        return await self._ask(self._commands, lambda: self._session.describe(task.strip()))

    async def _serve_mark(self, request: web.Request) -> web.StreamResponse:
        values, file = await _body(request, {"success", "note"}), request.match_info["file"]
        success = values.get("success")
        if not values or not isinstance(success, bool | None):
            return _sentence(HTTPStatus.BAD_REQUEST, "say success as true or false, or a note, or both")
        note = _text_of(values, "note", LONGEST_NOTE) if "note" in values else None
        return await self._ask(self._commands, lambda: self._session.mark(file, success, note))

    async def _ask(self, pool: ThreadPoolExecutor, call: Callable[[], Answer]) -> web.StreamResponse:
        answer = await asyncio.get_running_loop().run_in_executor(pool, call)
        return web.json_response(asdict(answer), status=_STATUS[answer.outcome])


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


async def _drain(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def _body(request: web.Request, known: set[str]) -> dict[str, Any]:
    """The JSON object of a command.

    Raises:
        web.HTTPBadRequest: It is something else.
    """
    try:
        values = json.loads(await request.read())
    except ValueError:
        values = None
    if not isinstance(values, dict) or not values.keys() <= known:
        raise web.HTTPBadRequest(reason=f"expected a JSON object with {' and '.join(sorted(known))}")
    return values


def _text_of(values: dict[str, Any], name: str, longest: int) -> str:
    text = values.get(name)
    if not isinstance(text, str) or len(text) > longest:
        raise web.HTTPBadRequest(reason=f"{name} is a text of at most {longest} characters")
    return text


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise web.HTTPBadRequest(reason=f"{name} is a whole number from 0 up")
    return int(text)


def _sentence(status: HTTPStatus, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence + "\n")


def _file(name: str) -> bytes:
    return (resources.files("spark_ros.console") / "page" / name).read_bytes()


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
