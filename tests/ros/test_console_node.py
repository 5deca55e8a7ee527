"""The session console beside real nodes: gateway, recorder and a simulated arm, asked over HTTP and in a real browser.

SPARK_ROS_SCREENSHOTS=docs/images keeps pictures of the page as the tests see it.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser_for_tests import browser, complaints, resize
from graph_for_tests import GraphUnderTest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

from spark_ros.bringup.supervisor import Bringup
from spark_ros.console.access import COMMAND_HEADER
from spark_ros.data.dataset_folder import DemoFolder

pytestmark = pytest.mark.ros

PATIENCE_S = 60.0


def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(condition())


class Console:
    """A console under test, asked over HTTP."""

    def __init__(self, printed: Callable[[], str]) -> None:
        pattern = r"session console: http://[\w.-]+:(\d+)/(?:\?token=(\S+))?"
        assert until(lambda: re.search(pattern, printed())), printed()
        match = re.search(pattern, printed())
        assert match is not None
        self.port, self.token = int(match[1]), match[2]
        self.address = f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        content = None if method == "GET" else json.dumps(body or {})
        connection.request(method, path, content, {COMMAND_HEADER: "1", **headers})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def command(self, name: str, **headers: str) -> tuple[int, str]:
        """Status and sentence."""
        status, content = self.ask("POST", f"/api/command/{name}", **headers)
        return status, json.loads(content)["message"]

    def insist(self, name: str) -> None:
        """Until it is done: streams are just starting, the arm is still coming to rest."""
        # The answer to a first call may be lost while discovery is under way: then it was carried out all the same.
        done = "mcap is being recorded"
        assert until(lambda: (answer := self.command(name))[0] == 200 or done in answer[1]), self.command(name)

    def episodes(self) -> list[dict[str, object]]:
        return json.loads(self.ask("GET", "/api/episodes")[1])["episodes"]


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bringup]:
    """The simulated expert operates."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "parameters.yaml").write_text("console: {ros__parameters: {port: 0}}\n")
    arguments = {
        "sim": "true",
        "operator": "expert",
        "console": "true",
        "folder": str(folder / "demos"),
        "params_file": str(folder / "parameters.yaml"),
        "domain": "auto",
    }
    with Bringup("teleop", arguments, log_directory=folder / "logs") as cell:
        cell.wait_ready()
        yield cell
        cell.check()


@pytest.fixture
def demos(cell: Bringup) -> DemoFolder:
    return DemoFolder(cell.log_directory.parent / "demos")


@pytest.fixture
def console(cell: Bringup) -> Iterator[Console]:
    """With the gateway idle before and after."""
    console = Console((cell.log_directory / "console.log").read_text)
    yield console
    console.command("discard")
    console.command("stop")
    console.insist("reset")


def test_an_episode_is_recorded_over_http_and_a_stop_faults_the_gateway(console: Console, demos: DemoFolder) -> None:
    before = len(console.episodes()) if until(lambda: console.ask("GET", "/api/episodes")[0] == 200) else 0
    assert console.ask("POST", "/api/task", {"task": "lift the cube"})[0] == 200
    console.insist("engage_teleop")
    console.insist("start")
    time.sleep(2.0)
    status, message = console.command("keep")
    assert status == 200 and message.startswith("kept episode_"), message
    entry = console.episodes()[0]
    assert len(console.episodes()) == before + 1 and entry["task"] == "lift the cube" and entry["success"] is True
    assert console.ask("POST", f"/api/episodes/{entry['file']}/mark", {"success": False, "note": "slow"})[0] == 200
    assert until(lambda: console.episodes()[0]["success"] is False)
    (kept,) = [episode for episode in demos.episodes() if episode.file == entry["file"]]
    assert (kept.success, kept.note) == (False, "slow")
    status, picture = console.ask("GET", f"/api/episodes/{entry['file']}/last.jpg")
    assert status == 200 and cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).std() > 5

    assert console.command("stop") == (200, "asked to stop")
    status, message = console.command("engage_teleop")
    assert status == 409 and "reset" in message
    assert console.ask("POST", "/api/command/stop", Host="evil.example")[0] == 403


def test_a_person_works_through_a_session_in_a_browser(console: Console, demos: DemoFolder, tmp_path: Path) -> None:
    with browser(tmp_path) as window:
        page = Page(window)
        window.get(console.address)
        page.expect("mode-word", "IDLE")
        assert until(lambda: page.see("[data-camera=front] img")), "no live picture came"
        assert until(lambda: page.see("[data-camera=wrist] img"))
        first = page.shade("[data-camera=front] img")

        page.click("[data-command=engage_teleop]")
        page.click("#dialog-yes")
        page.expect("mode-word", "TELEOP")
        assert until(lambda: page.shade("[data-camera=front] img") != first), "the picture stands still"
        page.expect("recorder-word", "ready to record")
        count = len(demos.episodes())
        page.click("[data-command=start]")
        page.expect("recorder-word", "RECORDING")
        page.expect("elapsed", "0:03")
        page.keep("console_recording.png")
        page.click("[data-keep=true]")
        assert until(lambda: len(demos.episodes()) == count + 1)
        card = f"[data-file='{demos.episodes()[-1].file}']"
        assert until(lambda: page.see(f"{card} img")), "no thumbnail came"
        page.click(f"{card} .no")
        assert until(lambda: demos.episodes()[-1].success is False)
        assert until(lambda: page.find(f"{card} .no").get_attribute("aria-pressed") == "true")
        page.click(f"{card} .yes")
        assert until(lambda: demos.episodes()[-1].success is True)
        assert until(lambda: "success" in page.find(card).get_attribute("class"))
        page.keep("console_episodes.png")

        page.find("#task").send_keys(Keys.ESCAPE)
        page.expect("mode-word", "FAULT")
        page.expect("alarm", "STOPPED: confirmed by the gateway.")
        resize(window, 820, 1180)
        page.keep("console_tablet.png")
        assert complaints(window) == []


class Page:
    """The page in a browser."""

    def __init__(self, window: WebDriver) -> None:
        self._window = window

    def find(self, selector: str) -> WebElement:
        return self._window.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """As soon as it can be clicked."""
        assert until(lambda: self.find(selector).is_enabled()), f"{selector} stays disabled"
        self._window.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def expect(self, name: str, text: str) -> None:
        assert until(lambda: text in self.find(f"#{name}").text), f"#{name} says {self.find(f'#{name}').text!r}"

    def see(self, selector: str) -> bool:
        """Whether a picture is shown there."""
        return bool(self._window.execute_script(f'return document.querySelector("{selector}")?.naturalWidth > 0'))

    def shade(self, selector: str) -> str:
        """The picture that is shown, as text."""
        draw = f"""const image = document.querySelector("{selector}"), canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0); return canvas.toDataURL("image/png")"""
        return str(self._window.execute_script(draw))

    def keep(self, name: str) -> None:
        """A screenshot, where they are asked for."""
        if folder := os.environ.get("SPARK_ROS_SCREENSHOTS"):
            self._window.execute_script("scrollTo(0, 0)")
            time.sleep(1.0)  # for pictures that are under way
            # 128 colours: a third of the bytes, and nobody sees it.
            picture = Image.open(io.BytesIO(self._window.get_screenshot_as_png())).convert("RGB")
            picture.quantize(128).save(Path(folder) / name, optimize=True)


def test_the_arm_does_without_its_console(cell: Bringup) -> None:
    os.kill(cell.process_ids["console"], signal.SIGKILL)
    assert until(lambda: "console" not in cell.process_ids)
    cell.check()
    assert {"gateway", "recorder", "sim_arm"} <= cell.process_ids.keys()


def test_alone_it_shows_that_nobody_is_there_and_lets_nobody_in_without_its_token(
    graph: GraphUnderTest, tmp_path: Path
) -> None:
    node = graph.start("console", port=0, token_file=str(tmp_path / "token"))
    console = Console(lambda: node.output)
    assert console.token == (tmp_path / "token").read_text().strip()
    assert console.ask("GET", "/")[0] == 401 and console.ask("POST", "/api/command/stop")[0] == 401
    key = {"Authorization": f"Bearer {console.token}"}
    status, message = console.command("stop", **key)
    assert status == 504 and "no service /gateway/stop" in message
    assert console.ask("GET", "/api/episodes", **key)[0] == 404
    assert node.end() == 0, node.output


def test_for_the_network_it_makes_a_token_of_its_own(graph: GraphUnderTest) -> None:
    node = graph.start("console", host="0.0.0.0", port=0)
    console = Console(lambda: node.output)
    assert len(console.token) >= 32 and console.ask("GET", "/")[0] == 401
    assert console.ask("GET", f"/?token={console.token}")[0] == 303
    status, content = console.ask("POST", "/api/command/engage_policy", Authorization=f"Bearer {console.token}")
    assert status == 403 and b"may not engage" in content
    refused = graph.start("console", host="0.0.0.0", port=console.port)
    refused.wait_for(r"cannot listen at 0.0.0.0:\d+")
    assert refused.process.wait(PATIENCE_S) == 2  # by itself
