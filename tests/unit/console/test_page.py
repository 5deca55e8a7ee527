"""The console's page in a real browser, where the session can be made to go wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from browser_for_tests import browser, complaints, resize
from fake_session import FakeSession
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from spark_ros.console.access import Access
from spark_ros.console.server import ConsoleServer, Options
from spark_ros.console.session import Command, GatewayView, Level, NodeHealth, RecorderView
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.recorder_status import RecorderState

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
def session(demos: DemoFolder) -> FakeSession:
    return FakeSession(demos.path)


@pytest.fixture
def server(session: FakeSession) -> Iterator[ConsoleServer]:
    server = ConsoleServer(session, Access("127.0.0.1", None), Options("127.0.0.1", 0, may_engage=True))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def page(server: ConsoleServer, window: WebDriver) -> WebDriver:
    resize(window, 1280, 800)
    complaints(window)  # those of the test before
    window.get(f"http://127.0.0.1:{server.port}/")
    expect(window, "mode-word", "IDLE")
    return window


def until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def words(page: WebDriver, name: str) -> str:
    return page.find_element(By.ID, name).text


def expect(page: WebDriver, name: str, text: str) -> None:
    assert until(lambda: text in words(page, name)), f"#{name} says {words(page, name)!r}, expected {text!r}"


def enabled(page: WebDriver) -> set[str]:
    buttons = page.find_elements(By.CSS_SELECTOR, "[data-command], [data-keep]")
    return {button.get_attribute("data-command") or "keep" for button in buttons if button.is_enabled()}


def type_keys(page: WebDriver, keys: str) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys(keys)


def test_without_a_gateway_the_page_says_that_nothing_here_can_stop_the_arm(
    page: WebDriver, session: FakeSession
) -> None:
    assert enabled(page) == {"start", "engage_teleop", "engage_policy"}
    session.now = replace(session.now, gateway=GatewayView(False), recorder=RecorderView(False))
    expect(page, "mode-word", "NO GATEWAY")
    expect(page, "mode-reason", "use the hardware e-stop")
    expect(page, "recorder-word", "no recorder")
    assert until(lambda: enabled(page) == set())
    page.find_element(By.ID, "stop").click()
    expect(page, "alarm", "STOP NOT CONFIRMED: press the hardware e-stop. (no service)")
    assert session.asked == [Command.STOP]
    session.now = replace(session.now, gateway=GatewayView(True, "fault", "asked to stop"))
    expect(page, "alarm", "STOPPED: the gateway reports a fault.")


def test_without_the_console_the_page_says_so_and_a_stop_is_not_confirmed(
    page: WebDriver, server: ConsoleServer
) -> None:
    server.close()
    expect(page, "mode-word", "NO CONNECTION")
    assert until(lambda: page.find_element(By.CLASS_NAME, "veil").text == "no connection")
    assert enabled(page) == set() and words(page, "disk") == "disk free\n-"
    type_keys(page, Keys.ESCAPE)
    expect(page, "alarm", "STOP NOT CONFIRMED: press the hardware e-stop. (the console did not answer)")


def test_the_stop_is_in_reach_at_every_size_wherever_one_is(page: WebDriver, session: FakeSession) -> None:
    at = "const r = document.getElementById('stop').getBoundingClientRect();"
    hit = f"{at} return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2).closest('#stop') !== null"
    wider = "return document.documentElement.scrollWidth - innerWidth"
    page.find_element(By.CSS_SELECTOR, "[data-command=engage_policy]").click()
    for size in ((1280, 800), (1024, 768), (820, 1180), (412, 900)):
        resize(page, *size)
        assert page.find_element(By.ID, "dialog-text").is_displayed()
        for scroll in (0, 5000):
            page.execute_script(f"scrollTo(0, {scroll})")
            assert page.execute_script(hit), size
        assert page.execute_script(wider) <= 0, f"{size} has to be scrolled sideways"
        assert page.find_element(By.ID, "stop").rect["height"] >= 60
    page.find_element(By.ID, "stop").click()
    expect(page, "mode-word", "FAULT")
    expect(page, "alarm", "STOPPED: confirmed by the gateway.")
    assert session.asked == [Command.STOP]


def test_engaging_is_asked_twice_and_cancelled_by_default(page: WebDriver, session: FakeSession) -> None:
    button = page.find_element(By.CSS_SELECTOR, "[data-command=engage_teleop]")
    button.click()
    assert page.switch_to.active_element.text == "Cancel"
    page.find_element(By.ID, "dialog-no").click()
    button.click()
    page.find_element(By.ID, "dialog-yes").click()
    assert until(lambda: session.asked == [Command.ENGAGE_TELEOP])


def test_keys_ask_for_what_their_buttons_ask_for(page: WebDriver, session: FakeSession) -> None:
    type_keys(page, "kdrf")  # not possible now
    type_keys(page, "s")
    assert until(lambda: session.asked == [Command.START])
    session.change(state=RecorderState.RECORDING, episode="episode_000004.mcap")
    assert until(lambda: enabled(page) >= {"keep", "discard", "again"})
    note = page.find_element(By.ID, "note")
    note.send_keys("kdx slow")  # while typing, letters are letters
    page.execute_script("document.activeElement.blur()")
    type_keys(page, "f")
    assert until(lambda: session.asked[1:] == [("mark", "episode_000004.mcap", False, "kdx slow"), Command.KEEP])
    type_keys(page, "d")
    time.sleep(0.3)
    assert Command.DISCARD not in session.asked, "one press of discard is a question"
    type_keys(page, "d")
    assert until(lambda: Command.DISCARD in session.asked)
    note.send_keys(Keys.ESCAPE)  # a stop is a stop, wherever one is
    expect(page, "mode-word", "FAULT")
    assert session.asked[-1] is Command.STOP


def test_texts_from_the_graph_are_texts(page: WebDriver, session: FakeSession) -> None:
    nodes = (NodeHealth(HOSTILE, Level.ERROR, HOSTILE, 0.1),)
    session.now = replace(session.now, nodes=nodes, gateway=GatewayView(True, "hold", HOSTILE), cameras=(HOSTILE,))
    session.change(state=RecorderState.STOPPED, message=HOSTILE, task=HOSTILE, note=HOSTILE, warnings=(HOSTILE,))
    expect(page, "warnings", HOSTILE)
    expect(page, "mode-reason", HOSTILE)
    assert "taken" not in page.title
    assert not page.find_elements(By.CSS_SELECTOR, "[onerror], body script")


def test_streams_that_are_not_well_are_said_in_a_word(page: WebDriver, session: FakeSession) -> None:
    (camera,) = session.now.recorder.status.streams
    for change, word in (
        ({"age_s": 3.0}, "SILENT"),
        ({"frozen": 4}, "FROZEN"),
        ({"lost": 2}, "lost 2"),
        ({"usual_hz": 30.0, "hz": 10.0}, "SLOW"),
        ({"gap_s": 0.8}, "GAP"),
        ({}, "ok"),
    ):
        session.change(streams=(replace(camera, **change),))
        expect(page, "streams", word)
    session.change(free_disk_mb=400.0, stop_disk_mb=500.0, start_disk_mb=2000.0)
    assert until(lambda: page.find_element(By.ID, "disk").get_attribute("class") == "error")


def test_episodes_appear_with_their_pictures_and_are_marked(page: WebDriver, session: FakeSession) -> None:
    cards = page.find_elements(By.CLASS_NAME, "episode")
    assert [card.get_attribute("data-file")[-6] for card in cards] == ["3", "2", "1"]
    widths = "return [...document.querySelectorAll('.episode img')].map((image) => image.naturalWidth)"
    page.execute_script("document.querySelectorAll('.episode img').forEach((image) => { image.loading = 'eager'; })")
    assert until(lambda: all(width > 0 for width in page.execute_script(widths)))
    assert "it was odd" in cards[1].text and "failure" in cards[1].get_attribute("class")
    cards[1].find_element(By.CLASS_NAME, "yes").click()
    assert until(lambda: session.asked == [("mark", "episode_000002.mcap", True, None)])
    assert complaints(page) == []


def test_a_hidden_page_watches_no_camera(page: WebDriver, session: FakeSession) -> None:
    assert until(lambda: session.watched == {"front"})
    shown = "return document.querySelector('.camera img').naturalWidth"
    assert until(lambda: page.execute_script(shown) == 640)
    page.get("about:blank")
    assert until(lambda: session.watched == set())


def test_what_needs_no_colour_is_said_in_words_and_has_a_name(page: WebDriver) -> None:
    unnamed = """return [...document.querySelectorAll('button, input, img')].filter((element) =>
        !(element.textContent.trim() || element.getAttribute('aria-label') || element.alt ||
          (element.labels && element.labels.length))).length"""
    assert page.execute_script(unnamed) == 0
    mode = page.find_element(By.ID, "mode")
    assert mode.get_attribute("aria-live") == "assertive" and words(page, "mode-word") == "IDLE"


def test_the_screen_reader_is_not_told_the_same_again(page: WebDriver) -> None:
    count = """window.changes = 0; new MutationObserver((found) => { window.changes += found.length; })
        .observe(document.getElementById('mode'), {childList: true, characterData: true, subtree: true})"""
    page.execute_script(count)
    time.sleep(1.0)
    assert page.execute_script("return window.changes") == 0
