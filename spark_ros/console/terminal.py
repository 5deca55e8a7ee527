"""The session at the keys of a terminal: what each key asks for, and what was answered. No terminal and no ROS in here.

Whatever waits for an answer waits in a thread of its own, so that a stop is never behind anything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_ros.console.session import Answer, Command, Outcome, Session, Snapshot
from spark_ros.console.terminal_view import Line, StopState, Style, View, screen, style_of, why_not
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry

CONFIRM_S = 3.0  # within which a key that throws an episode away has to be pressed again
UP, DOWN, ENTER, BACKSPACE, ESCAPE = "up", "down", "enter", "backspace", "escape"
STOP, STOP_ALWAYS = "x", (ESCAPE, "\x18")  # the second kind also while something is typed; as on the page
_CANCEL = "\x07"  # ^G
COMMANDS: Mapping[str, Command] = {
    "s": Command.START,
    "k": Command.KEEP,
    "d": Command.DISCARD,
    "r": Command.AGAIN,
    "e": Command.ENGAGE_TELEOP,
    "p": Command.ENGAGE_POLICY,
    "h": Command.HOLD,
    "R": Command.RESET,
}
_THROWS_AWAY = (Command.DISCARD, Command.AGAIN)
FAULT = "fault"  # of `control.modes.Mode`
_LONGEST = 500  # characters of a note or a task


@dataclass
class _Prompt:
    """A line that is being typed."""

    question: str
    done: Callable[[str], None]
    text: str = ""


class TerminalConsole:
    """The operator's page.

    Args:
        session: What is watched and commanded.
        episodes: Reads a folder, newest first; runs in a thread of its own. None for the real one.

    Attributes:
        ended: Whether the operator wants to leave.
    """

    def __init__(self, session: Session, episodes: Callable[[str], Sequence[EpisodeEntry]] | None = None) -> None:
        self._session, self._read = session, episodes or _newest_first
        self._snapshot: Snapshot = session.snapshot()
        self._lock = threading.Lock()
        self._said, self._style = "", Style.PLAIN
        self._asking = ""
        self._stop: StopState | None = None
        self._stop_asked: float | None = None
        self._latched = False  # whether the gateway has been seen in fault since it confirmed a stop
        self._prompt: _Prompt | None = None
        self._warned: tuple[str, float] = "", float("-inf")
        self._folder: tuple[str, int, int] | None = None
        self._reading = False
        self._episodes: tuple[EpisodeEntry, ...] = ()
        self._folder_error = ""
        self._selected = ""
        self.ended = False

    def look(self) -> None:
        """Take a new snapshot, and read the folder again when something in it has changed. Never waits."""
        self._snapshot = self._session.snapshot()
        self._forget_stop()
        status = self._snapshot.recorder.status
        if status is None or self._reading:
            return
        version = status.folder, status.kept, status.marks
        if version != self._folder:
            self._folder, self._reading = version, True
            threading.Thread(target=self._list, args=(status.folder,), daemon=True).start()

    def lines(self, width: int, height: int) -> list[Line]:
        """The screen now."""
        with self._lock:
            stop = self._stop
            if self._stop_asked is not None:
                stop = StopState(None, "", time.monotonic() - self._stop_asked)
            said, style = self._said, self._style
            if self._asking:
                said, style = f"{self._asking} ...", Style.PLAIN
        prompt = None if self._prompt is None else f"{self._prompt.question}: {self._prompt.text}"
        episodes = self._episodes  # which another thread replaces
        view = View(episodes, self._index(episodes), said, style, prompt, stop, self._folder_error)
        return screen(self._snapshot, view, width, height)

    def press(self, key: str) -> None:
        """Take a key: a character, or one of `UP`, `DOWN`, `ENTER`, `BACKSPACE`, `ESCAPE`."""
        if key in STOP_ALWAYS or (key == STOP and self._prompt is None):
            self._prompt = None
            self._ask_stop()
        elif self._prompt is not None:
            self._type(self._prompt, key)
        elif key in COMMANDS:
            self._command(key, COMMANDS[key])
        elif key == "f":
            self._keep_failure()
        elif key == "m":
            self._mark()
        elif key == "n":
            self._ask_note()
        elif key == "t":
            self._prompt = _Prompt("task", lambda text: self._ask("task", lambda: self._session.describe(text)))
        elif key in (UP, DOWN):
            self._select(-1 if key == UP else 1)
        elif key == "q":
            self._leave()

    def _leave(self) -> None:
        status = self._snapshot.recorder.status
        recording = status is not None and bool(status.episode)
        if not recording or self._again("q"):
            self.ended = True
        elif status is not None:
            self._say(f"{status.episode} is being recorded and goes on without this page: q again to leave", Style.WARN)

    def _command(self, key: str, command: Command) -> None:
        if not self._snapshot.allows(command):
            self._say(why_not(command, self._snapshot), Style.WARN)
        elif command in _THROWS_AWAY and not self._again(key):
            status = self._snapshot.recorder.status
            self._say(f"{key} again throws {status.episode if status else 'the episode'} away", Style.WARN)
        else:
            self._ask(command.value, lambda: self._session.command(command))

    def _again(self, key: str) -> bool:
        """Whether this key was pressed a moment ago, too; else that is remembered."""
        before, when = self._warned
        sure = before == key and time.monotonic() - when < CONFIRM_S
        self._warned = ("", float("-inf")) if sure else (key, time.monotonic())
        return sure

    def _keep_failure(self) -> None:
        status = self._snapshot.recorder.status
        if status is None or not self._snapshot.allows(Command.KEEP):
            return self._say(why_not(Command.KEEP, self._snapshot), Style.WARN)

        def work() -> Answer:
            marked = self._session.mark(status.episode, success=False)
            return marked if marked.outcome is not Outcome.DONE else self._session.command(Command.KEEP)

        self._ask("keep as a failure", work)

    def _mark(self) -> None:
        """The other mark for the episode being recorded, or the selected one."""
        file, success = self._subject()
        if file:
            self._ask(f"mark {file}", lambda: self._session.mark(file, success=not success))

    def _ask_note(self) -> None:
        file, _ = self._subject()
        if file:
            self._prompt = _Prompt(
                f"note on {file}", lambda text: self._ask("note", lambda: self._session.mark(file, note=text))
            )

    def _subject(self) -> tuple[str, bool]:
        """File and mark of the episode being recorded, or else of the selected one."""
        status = self._snapshot.recorder.status
        if status is not None and status.episode:
            return status.episode, status.success
        if not (episodes := self._episodes):
            self._say("there is no episode yet", Style.WARN)
            return "", False
        entry = episodes[self._index(episodes)]
        return entry.file, entry.success is True

    def _index(self, episodes: Sequence[EpisodeEntry]) -> int:
        """Of the selected episode; the newest is selected as long as nobody has chosen another."""
        files = [entry.file for entry in episodes]
        return files.index(self._selected) if self._selected in files else 0

    def _select(self, step: int) -> None:
        if episodes := self._episodes:
            index = min(max(self._index(episodes) + step, 0), len(episodes) - 1)
            self._selected = episodes[index].file if index else ""

    def _type(self, prompt: _Prompt, key: str) -> None:
        if key == _CANCEL:
            self._prompt = None
        elif key == ENTER:
            self._prompt = None
            prompt.done(prompt.text.strip())
        elif key == BACKSPACE:
            prompt.text = prompt.text[:-1]
        elif key == "\x15":  # ^U, as everywhere
            prompt.text = ""
        elif len(key) == 1 and key.isprintable() and len(prompt.text) < _LONGEST:
            prompt.text += key

    def _ask(self, what: str, work: Callable[[], Answer]) -> None:
        """Have it done, one thing at a time."""
        with self._lock:
            if self._asking:
                self._said, self._style = f"{self._asking} has not been answered yet", Style.WARN
                return
            self._asking = what

        def run() -> None:
            answer = _safely(work)
            with self._lock:
                self._asking, self._said, self._style = "", f"{what}: {answer.message}", style_of(answer.outcome)

        threading.Thread(target=run, daemon=True).start()

    def _ask_stop(self) -> None:
        with self._lock:
            if self._stop_asked is not None:
                return  # the call repeats itself until somebody answers
            self._stop_asked = asked = time.monotonic()

        def run() -> None:
            answer = _safely(lambda: self._session.command(Command.STOP))
            with self._lock:
                self._stop_asked, self._latched = None, False
                self._stop = StopState(answer.outcome, answer.message, time.monotonic() - asked)

        threading.Thread(target=run, daemon=True).start()

    def _forget_stop(self) -> None:
        """A confirmed stop is shown until somebody has reset the gateway."""
        fault = self._snapshot.gateway.mode == FAULT
        with self._lock:
            if self._stop is not None and self._stop.outcome is Outcome.DONE:
                if self._latched and not fault:
                    self._stop = None
                self._latched = fault

    def _say(self, text: str, style: Style) -> None:
        with self._lock:
            self._said, self._style = text, style

    def _list(self, path: str) -> None:
        try:
            self._episodes, self._folder_error = tuple(self._read(path)), ""
        except (SparkError, OSError) as error:
            self._episodes, self._folder_error = (), str(error)
        finally:
            self._reading = False


def _newest_first(path: str) -> list[EpisodeEntry]:
    if not Path(path).is_dir():
        raise SparkError(f"{path} is not on this computer: episodes are listed where the recorder runs")
    return list(reversed(DemoFolder(path).episodes()))


def _safely(work: Callable[[], Answer]) -> Answer:
    """The answer, also where asking itself failed: a thread that ends silently would look like an answer to come."""
    try:
        return work()
    except Exception as error:
        return Answer(Outcome.UNANSWERED, f"{type(error).__name__}: {error}")
