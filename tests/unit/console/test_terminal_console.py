"""What the operator sees and what each key asks for, with a session that the test speaks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from terminal_session import EPISODES, FRONT, READY, RECORDING, STREAMS, FakeSession

from spark_ros.console.session import Answer, Command, GatewayView, Level, NodeHealth, Outcome, RecorderView
from spark_ros.console.terminal import BACKSPACE, CONFIRM_S, DOWN, ENTER, ESCAPE, UP, TerminalConsole
from spark_ros.console.terminal_view import Style, fit
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import EpisodeEntry


@pytest.fixture
def session() -> Iterator[FakeSession]:
    session = FakeSession()
    yield session
    session.gate.set()


@pytest.fixture
def console(session: FakeSession) -> TerminalConsole:
    console = TerminalConsole(session, lambda _: EPISODES)
    console.look()
    assert until(lambda: "episode_000002.mcap" in text(console))
    return console


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def text(console: TerminalConsole, width: int = 80, height: int = 24) -> str:
    console.look()
    return "\n".join(line.text for line in console.lines(width, height))


def line_of(console: TerminalConsole, part: str, width: int = 80) -> Any:
    console.look()
    return next(line for line in console.lines(width, 24) if part in line.text)


def press(console: TerminalConsole, keys: str) -> None:
    for key in keys:
        console.press(key)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (80, 16), (40, 10), (20, 3), (5, 1)])
def test_every_screen_is_filled_and_nothing_is_wider(console: TerminalConsole, session: FakeSession, size) -> None:
    session.shows(
        replace(RECORDING, warnings=("a is frozen", "b pauses", "c is slow", "d is late"), streams=STREAMS * 9)
    )
    console.look()
    lines = console.lines(*size)
    assert len(lines) <= size[1] and all(len(line.text) <= size[0] for line in lines)
    assert lines[0].text.startswith(" IDLE"[: size[0]])
    if size[1] >= 16:
        assert len(lines) == size[1] and "STOP" in "".join(line.text for line in lines[-3:])


def test_a_screen_of_80_by_24_says_all_that_matters(console: TerminalConsole, session: FakeSession) -> None:
    frozen = replace(STREAMS[0], frozen=12, gap_s=0.71, hz=21.0)
    warning = f"{FRONT} is frozen"
    session.shows(
        replace(RECORDING, camera_skew_s=0.081, lost=3, warnings=(warning,), streams=(frozen, *STREAMS[1:])),
        GatewayView(True, "policy", "engaged", {"p50": 45.0, "p95": 55.2, "p99": 65.0}),
    )
    session.now = replace(session.now, nodes=(NodeHealth("perception", Level.STALE, "encoding", 9.0),))
    shown = text(console)
    for part in (
        " POLICY  engaged", "domain 7 (simulated)", "45 / 55 / 65 ms", "! perception: has gone silent",
        "RECORDING episode_000003.mcap  7 s", "task: lift the cube", "disk 81.0 GB free", "lost 3", "skew 81/60 ms",
        f"* {warning}", "2 episodes, 2 successful", "> episode_000002.mcap", "s start",
    ):  # fmt: skip
        assert part in shown, part
    columns = line_of(console, f"* {FRONT}  ").text.split()
    assert columns == ["*", FRONT, "21.0", "30.0", "0.02", "0.71", "0", "0", "12"]


def test_a_silent_camera_and_a_missing_gateway_cannot_be_overlooked(
    console: TerminalConsole, session: FakeSession
) -> None:
    session.shows(replace(READY, streams=(replace(STREAMS[0], hz=0.0, age_s=None),)), GatewayView(False, "teleop"))
    banner = line_of(console, "NO GATEWAY")
    assert banner.style is Style.BAD_BANNER and "last seen in teleop" in banner.text
    assert line_of(console, FRONT).style is Style.BAD and "never" in line_of(console, FRONT).text
    session.now = replace(session.now, recorder=RecorderView(False))
    assert line_of(console, "recorder is not there").style is Style.BAD


def test_nothing_that_is_written_anywhere_steers_the_terminal(console: TerminalConsole, session: FakeSession) -> None:
    session.shows(replace(RECORDING, task="\x1b[2Jgone\r\n", note="\u202eback\x07"))
    shown = "".join(line.text for line in console.lines(80, 24)) + text(console).replace("\n", "")
    assert all(character.isprintable() for character in shown)
    assert fit("ab\u4e2d\u6587cd", 5) == "ab\u4e2d" and fit("e\u0301f", 2) == "e\u0301f"


def test_the_keys_ask_for_what_they_say_and_the_answers_are_shown(
    console: TerminalConsole, session: FakeSession
) -> None:
    press(console, "s")
    assert until(lambda: "start: as asked" in text(console)) and session.asked == [Command.START]
    session.shows(RECORDING)
    session.answer = Answer(Outcome.REFUSED, "it holds no commands")
    console.look()
    press(console, "k")
    assert until(lambda: "keep: it holds no commands" in text(console))
    assert line_of(console, "it holds no commands").style is Style.WARN
    for key, command in (("e", Command.ENGAGE_TELEOP), ("p", Command.ENGAGE_POLICY)):
        press(console, key)
        assert until(lambda command=command: session.asked[-1] is command and "..." not in text(console))
    session.shows(gateway=GatewayView(True, "hold"))
    console.look()
    press(console, "R")
    assert until(lambda: session.asked[-1] is Command.RESET)


def test_what_makes_no_sense_is_not_asked_for_but_said(console: TerminalConsole, session: FakeSession) -> None:
    press(console, "k")
    assert "keep: recorder ready to record" in text(console)
    session.shows(gateway=GatewayView(False))
    press(console, "z")
    console.look()
    press(console, "h")
    assert "hold: the gateway is not there" in text(console) and not session.asked


def test_an_episode_is_thrown_away_by_two_presses_only(
    console: TerminalConsole, session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.shows(RECORDING)
    console.look()
    press(console, "d")
    assert "d again throws episode_000003.mcap away" in text(console) and not session.asked
    press(console, "r")
    assert "r again throws" in text(console) and not session.asked
    press(console, "r")
    assert until(lambda: session.asked == [Command.AGAIN] and "as asked" in text(console))
    press(console, "d")
    later = time.monotonic() + CONFIRM_S + 0.1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    press(console, "d")
    assert session.asked == [Command.AGAIN]


def test_leaving_while_an_episode_is_recorded_takes_two_presses(console: TerminalConsole, session: FakeSession) -> None:
    session.shows(RECORDING)
    console.look()
    press(console, "q")
    assert not console.ended and "goes on without this page" in text(console)
    press(console, "q")
    assert console.ended and not session.asked


def test_a_stop_waits_for_nothing_and_is_shown_until_it_is_reset(
    console: TerminalConsole, session: FakeSession
) -> None:
    session.gate.clear()
    press(console, "s")
    assert "start ..." in text(console)
    press(console, "k")
    press(console, "x")
    assert until(lambda: "STOP CONFIRMED" in text(console)) and Command.STOP in session.asked
    session.gate.set()
    session.shows(gateway=GatewayView(True, "fault", "asked to stop"))
    assert "STOP CONFIRMED" in text(console) and " FAULT  asked to stop" in text(console)
    session.shows(gateway=GatewayView(True, "idle"))
    assert "STOP CONFIRMED" not in text(console)


def test_a_stop_that_nobody_confirms_sends_to_the_button_of_the_arm(
    console: TerminalConsole, session: FakeSession
) -> None:
    session.stop_answer = Answer(Outcome.UNANSWERED, "no service /gateway/stop within 0 s")
    press(console, "x")
    assert until(lambda: "STOP NOT CONFIRMED: PRESS THE STOP BUTTON" in text(console))
    assert line_of(console, "STOP NOT CONFIRMED").style is Style.BAD_BANNER
    assert "no service /gateway/stop" in text(console)


def test_notes_and_tasks_are_typed_and_escape_stops_even_there(console: TerminalConsole, session: FakeSession) -> None:
    press(console, "nslippx")
    assert "note on episode_000002.mcap: slippx_" in text(console)
    console.press(BACKSPACE)
    press(console, "ed")
    assert "slipped_   (Enter: done" in text(console) and line_of(console, "slipped_", 20).text.endswith("slipped_")
    console.press(ENTER)
    assert until(lambda: session.asked == [("episode_000002.mcap", None, "slipped")])
    assert until(lambda: "..." not in text(console))
    press(console, "tfold it")
    console.press(ENTER)
    assert until(lambda: session.asked[-1] == ("task", "fold it") and "..." not in text(console))
    press(console, "tnot this\x07")
    assert session.asked[-1] == ("task", "fold it") and "not this" not in text(console)
    for stop in (ESCAPE, "\x18"):
        press(console, "tnot this")
        console.press(stop)
        assert until(lambda: session.asked[-1] is Command.STOP and "STOP CONFIRMED" in text(console))
        assert "not this" not in text(console)
        session.asked.append("between")


def test_marks_are_for_the_selected_episode_or_the_one_being_recorded(
    console: TerminalConsole, session: FakeSession
) -> None:
    for key in (DOWN, DOWN, UP, DOWN):
        console.press(key)
    assert "> episode_000001.mcap" in text(console)
    press(console, "m")
    assert until(lambda: session.asked == [("episode_000001.mcap", False, None)] and "..." not in text(console))
    session.shows(RECORDING)
    console.look()
    press(console, "m")
    assert until(lambda: session.asked[-1] == ("episode_000003.mcap", False, None) and "..." not in text(console))
    press(console, "f")
    assert until(lambda: session.asked[-2:] == [("episode_000003.mcap", False, None), Command.KEEP])


def test_the_list_is_read_again_when_an_episode_was_kept_and_an_unreadable_folder_is_said(
    session: FakeSession,
) -> None:
    read = []

    def episodes(path: str) -> list[EpisodeEntry]:
        read.append(path)
        if len(read) > 1:
            raise SparkError("/demos/index.json is damaged")
        return EPISODES

    console = TerminalConsole(session, episodes)
    assert until(lambda: "> episode_000002.mcap" in text(console)) and read == ["/demos"]
    session.shows(replace(READY, kept=1))
    assert until(lambda: "! /demos/index.json is damaged" in text(console)) and len(read) == 2


def test_a_session_that_fails_is_an_answer_too(console: TerminalConsole, session: FakeSession) -> None:
    session.command = lambda command: 1 / 0  # type: ignore[method-assign]
    press(console, "s")
    assert until(lambda: "start: ZeroDivisionError" in text(console))
    assert line_of(console, "ZeroDivisionError").style is Style.BAD
