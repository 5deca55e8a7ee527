"""The console on a real pseudo-terminal: what is drawn, and that the terminal is given back however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from terminal_for_tests import COLOUR, Terminal, until

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, str(Path(__file__).with_name("terminal_session.py"))]


def environment() -> Mapping[str, str]:
    without = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LINES", "COLUMNS")}
    return {**without, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal(PROGRAM, environment())
    terminal.shows(" IDLE  started", "> episode_000002.mcap", "x, Esc STOP")
    yield terminal
    terminal.close()


def test_keys_arrive_and_answers_are_drawn_in_colours(terminal: Terminal) -> None:
    assert COLOUR.search(terminal.written)
    terminal.type("s")
    terminal.shows("start: as asked")
    terminal.type("\x1bOB")  # down, as a terminal sends it to a program that has asked for its keypad
    terminal.shows("> episode_000001.mcap")
    terminal.type("\x1bOA")
    terminal.shows("> episode_000002.mcap")
    terminal.type("ngr\u00fcn\u7e9e\x7f")
    terminal.shows("note on episode_000002.mcap: gr\u00fcn_")
    terminal.type("\x1b")
    assert until(lambda: "note on" not in "".join(terminal.rows))
    terminal.shows("STOP CONFIRMED by the gateway after 0.")
    terminal.type("q")
    assert terminal.process.wait(20) == 0 and until(terminal.restored), terminal.written[-300:]
    assert until(lambda: b"a word after the end" in terminal.written.rpartition(b"\x1b[?1049l")[2])


def test_another_size_is_drawn_anew(terminal: Terminal) -> None:
    terminal.resize(12, 60)
    assert until(lambda: terminal.rows[0].startswith(" IDLE  started")), terminal.rows
    assert until(lambda: terminal.rows[-1].startswith("e engage teleop")), terminal.rows
    terminal.resize(3, 20)
    assert until(lambda: terminal.rows[0].startswith(" IDLE  started")), terminal.rows
    terminal.resize(40, 120)
    terminal.shows("/camera/front/color/image_raw", "x, Esc STOP")


def test_without_colours_there_is_none() -> None:
    terminal = Terminal(PROGRAM, environment(), NO_COLOR="1")
    try:
        terminal.shows(" IDLE", "> episode_000002.mcap")
        terminal.type("x")
        terminal.shows("STOP CONFIRMED")
        assert not COLOUR.search(terminal.written)
    finally:
        terminal.close()


def test_a_terminal_that_knows_no_other_letters_shows_question_marks() -> None:
    terminal = Terminal(PROGRAM, environment(), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    try:
        terminal.shows(" IDLE", "> episode_000002.mcap")
        terminal.type("nabc\n")
        terminal.shows("note: as asked")
    finally:
        terminal.close()


def test_ctrl_c_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.type("\x03")
    assert terminal.process.wait(20) == 130 and until(terminal.restored), terminal.written[-300:]
    assert b"Traceback" not in terminal.written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(terminal: Terminal, number: signal.Signals) -> None:
    terminal.process.send_signal(number)
    assert terminal.process.wait(20) == 130 and until(terminal.restored), terminal.written[-300:]
    assert b"Traceback" not in terminal.written


def test_a_lost_connection_ends_the_program(terminal: Terminal) -> None:
    terminal.hang_up()
    assert terminal.process.wait(20) in (0, 130)


def test_an_unknown_terminal_or_none_is_one_sentence() -> None:
    terminal = Terminal(PROGRAM, environment(), TERM="no-such-terminal")
    try:
        assert terminal.process.wait(20) == 2
        assert until(lambda: b"TERM=xterm-256color" in terminal.written), terminal.written
    finally:
        terminal.close()
    piped = subprocess.run(
        PROGRAM, env=dict(environment()), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert piped.returncode == 2 and "without a pipe" in piped.stderr and "Traceback" not in piped.stderr
