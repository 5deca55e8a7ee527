"""Draws a `TerminalConsole` on a real terminal, and gives the terminal back however that ends.

The standard library's curses: nothing to install on a robot, sends only what has changed (which ssh over a bad line
needs), knows every terminal, and restores it.
"""

from __future__ import annotations

import curses
import locale
import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from spark_ros.console.terminal import BACKSPACE, DOWN, ENTER, ESCAPE, UP, TerminalConsole
from spark_ros.console.terminal_view import Style
from spark_ros.contracts import SparkError

PERIOD_S = 0.2
_GONE = 5  # times in a row that the terminal says there is something to read and has nothing: it has been closed
_LOG_TAIL = 4000  # characters of what was logged meanwhile
_FUNCTION_KEYS = {
    curses.KEY_UP: UP,
    curses.KEY_DOWN: DOWN,
    curses.KEY_ENTER: ENTER,
    curses.KEY_BACKSPACE: BACKSPACE,
}
_CONTROL_KEYS = {"\n": ENTER, "\r": ENTER, "\b": BACKSPACE, "\x7f": BACKSPACE, "\x1b": ESCAPE}
_BANNERS = {style for style in Style if style.value.endswith("banner")}
_COLOURS = {
    Style.GOOD: curses.COLOR_GREEN,
    Style.WARN: curses.COLOR_YELLOW,
    Style.BAD: curses.COLOR_RED,
    Style.TELEOP_BANNER: curses.COLOR_BLUE,
    Style.POLICY_BANNER: curses.COLOR_MAGENTA,
    Style.GOOD_BANNER: curses.COLOR_GREEN,
    Style.WARN_BANNER: curses.COLOR_YELLOW,
    Style.BAD_BANNER: curses.COLOR_RED,
}


def show(console: TerminalConsole) -> None:
    """Show it until the operator leaves, the terminal is closed or the process is told to end.

    Raises:
        SparkError: Standard input or output is no terminal, or one that cannot be drawn on.
        KeyboardInterrupt: Ctrl-C; the terminal is as it was before.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SparkError("the console in a terminal needs one: run it by itself, without a pipe; over ssh with ssh -t")
    locale.setlocale(locale.LC_ALL, "")
    with _ended_by_signals(), _logs_aside(), _screen() as window:
        _Screen(window, console).run()


class _Screen:
    """The loop: keys, a new look, the screen."""

    def __init__(self, window: curses.window, console: TerminalConsole) -> None:
        self._window, self._console = window, console
        self._attributes = _attributes()
        self._nothing = 0

    def run(self) -> None:
        while not self._console.ended and self._nothing < _GONE:
            self._console.look()
            self._draw()
            self._read()

    def _read(self) -> None:
        """Every key typed by now; waits for a moment for the first one."""
        readable = bool(select.select([sys.stdin], [], [], PERIOD_S)[0])
        found = False
        while True:
            try:
                key = self._window.get_wch()
            except curses.error:  # no more
                break
            found = True
            if isinstance(key, str):
                self._console.press(_CONTROL_KEYS.get(key, key))
            elif key == curses.KEY_RESIZE:
                self._window.clear()  # draws all of it anew: terminals differ in what they keep
            elif key in _FUNCTION_KEYS:
                self._console.press(_FUNCTION_KEYS[key])
        self._nothing = self._nothing + 1 if readable and not found else 0

    def _draw(self) -> None:
        height, width = self._window.getmaxyx()
        self._window.erase()
        for row, line in enumerate(self._console.lines(width, height)):
            text = line.text.encode(self._window.encoding, "replace").decode(self._window.encoding)
            if line.style in _BANNERS:
                text = f"{text:<{width}}"
            with suppress(curses.error):  # for the last cell of the screen, which is written all the same
                self._window.addstr(row, 0, text, self._attributes[line.style])
        self._window.refresh()


@contextmanager
def _screen() -> Iterator[curses.window]:
    """The whole terminal, given back when the block ends."""
    try:
        curses.setupterm()
    except curses.error as error:
        name = os.environ.get("TERM", "")
        raise SparkError(f"the terminal {name!r} is not known here ({error}): try TERM=xterm-256color") from error
    window = curses.initscr()
    try:
        curses.noecho()
        curses.cbreak()
        curses.set_escdelay(50)  # ms: a key that sends several characters sends them faster than this
        window.keypad(True)
        window.nodelay(True)
        with suppress(curses.error):  # not every terminal can hide it
            curses.curs_set(0)
        yield window
    finally:
        with suppress(curses.error):  # the terminal has been closed
            window.keypad(False)
            curses.echo()
            curses.nocbreak()
            curses.endwin()


def _attributes() -> dict[Style, int]:
    """How each style looks on this terminal, in colours unless NO_COLOR (no-color.org) forbids them."""
    plain = {style: curses.A_NORMAL for style in Style}
    plain |= {style: curses.A_REVERSE for style in _BANNERS}
    plain |= {Style.STRONG: curses.A_BOLD, Style.BAD: curses.A_BOLD, Style.FAINT: curses.A_DIM}
    plain[Style.BAD_BANNER] |= curses.A_BOLD
    if os.environ.get("NO_COLOR") or not _colours_possible():
        return plain
    for number, (style, colour) in enumerate(_COLOURS.items(), start=1):
        curses.init_pair(number, colour, -1)
        plain[style] |= curses.color_pair(number)
    return plain


def _colours_possible() -> bool:
    try:
        curses.start_color()
        curses.use_default_colors()
    except curses.error:
        return False
    return curses.has_colors()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed connection end the block as Ctrl-C does: so that the terminal is given back."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logs_aside() -> Iterator[None]:
    """Whatever is written to stderr meanwhile (ROS's log, a library's warning) does not run through the screen.

    Its end is written afterwards.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        saved = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            _tell(aside)


def _tell(aside: IO[bytes]) -> None:
    size = aside.seek(0, os.SEEK_END)
    aside.seek(max(0, size - _LOG_TAIL))
    text = aside.read().decode(errors="replace").strip()
    if text:
        with suppress(OSError):  # the terminal has been closed
            print(text, file=sys.stderr)
