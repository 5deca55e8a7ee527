"""What the terminal shows of a session: lines of text for a screen of any size, for 80 columns and 24 rows at least.

Only ASCII of our own, a mark beside every colour, and nothing from a file that could steer a terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from spark_ros.console.session import Command, Level, Outcome, Snapshot
from spark_ros.data.dataset_folder import EpisodeEntry
from spark_ros.data.recorder_status import RecorderState, RecorderStatus, StreamStatus

KEYS = (
    "s start   k keep   f keep as a failure   d discard   r record again   q quit",
    "m success or failure   n note   t task   up, down: episode   x, Esc STOP",
    "e engage teleop   p engage policy   h hold   R reset",
)
SILENT_S = 1.0  # a required stream that says nothing for so long keeps an episode from beginning
_SLOW = 0.8  # of its usual rate
_STREAM_ROWS = 7
_BANNER_COLUMNS = 20  # for the mode and its reason; narrower screens leave out where this is
_EPISODE_ROWS = 3
_GB = 1000.0


class Style(Enum):
    """How a line looks, in the colours of the page; without colours banners are reversed and the worst is bold."""

    PLAIN = "plain"
    STRONG = "strong"
    FAINT = "faint"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    CALM_BANNER = "calm banner"
    TELEOP_BANNER = "teleop banner"
    POLICY_BANNER = "policy banner"
    GOOD_BANNER = "good banner"
    WARN_BANNER = "warn banner"
    BAD_BANNER = "bad banner"


@dataclass(frozen=True)
class Line:
    """One row of the screen."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True)
class StopState:
    """A stop that was asked for.

    Attributes:
        outcome: What became of it; None while nobody has answered.
        message: What was answered.
        after_s: How long the answer took, or how long nobody has answered.
    """

    outcome: Outcome | None
    message: str
    after_s: float


@dataclass(frozen=True)
class View:
    """What is shown beside the snapshot.

    Attributes:
        episodes: The folder's, newest first.
        selected: Which of them marks and notes are for.
        said: The last answer, or what is being asked.
        said_style: How it looks.
        prompt: What is to be typed, with what has been typed; None if nothing is.
        stop: A stop that was asked for.
        folder_error: Why the folder cannot be shown.
    """

    episodes: Sequence[EpisodeEntry] = ()
    selected: int = 0
    said: str = ""
    said_style: Style = Style.PLAIN
    prompt: str | None = None
    stop: StopState | None = None
    folder_error: str = ""


def screen(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """The rows of a screen, from the top; exactly `height` of them, none wider than `width` columns."""
    top = [_banner(snapshot, width), *_stop(view), *_gateway(snapshot)]
    bottom = [_said(view, width), *(Line(keys, Style.FAINT) for keys in KEYS)]
    recorder = _recorder(snapshot)
    spare = height - len(top) - len(bottom) - len(recorder)
    episode_rows = min(len(view.episodes) + 1, max(_EPISODE_ROWS, spare // 3))
    middle = [*recorder, *_streams(snapshot, max(0, spare - episode_rows))]
    middle += _episodes(view, max(0, height - len(top) - len(bottom) - len(middle)))
    room = max(0, height - len(top) - len(bottom))
    rows = [*top, *middle[:room], *[Line("")] * (room - len(middle)), *bottom]
    if len(rows) > height:  # a very small screen: who moves the arm, and what was answered
        rows = [*top, bottom[0]][:height]
    return [Line(fit(row.text, width), row.style) for row in rows]


def fit(text: str, width: int) -> str:
    """The text without anything that steers a terminal, cut to so many columns."""
    shown, columns = [], 0
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Mn", "Me"):  # on top of the character before
            shown.append(character)
            continue
        if kind.startswith(("C", "Zl", "Zp")):
            character = " " if character.isspace() else "?"
        columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if columns > width:
            break
        shown.append(character)
    return "".join(shown)


def _banner(snapshot: Snapshot, width: int) -> Line:
    gateway = snapshot.gateway
    where = f"domain {snapshot.domain}" + (" (simulated)" if snapshot.simulated else "")
    if not gateway.present:
        last = f", last seen in {gateway.mode}" if gateway.mode else ""
        text, style = f" NO GATEWAY{last}: nothing here can be stopped from here", Style.BAD_BANNER
    else:
        text = f" {(gateway.mode or 'mode not known').upper()}  {gateway.reason}"
        style = {
            "teleop": Style.TELEOP_BANNER,
            "policy": Style.POLICY_BANNER,
            "hold": Style.WARN_BANNER,
            "fault": Style.BAD_BANNER,
        }.get(gateway.mode, Style.CALM_BANNER)
    room = width - len(where) - 3
    if room < _BANNER_COLUMNS:
        return Line(text, style)
    return Line(f"{fit(text, room):<{room}}  {where} ", style)


def _stop(view: View) -> list[Line]:
    stop = view.stop
    if stop is None:
        return []
    if stop.outcome is None:
        return [Line(f" STOP asked for, nobody has confirmed it for {stop.after_s:.1f} s", Style.WARN_BANNER)]
    if stop.outcome is Outcome.DONE:
        return [Line(f" STOP CONFIRMED by the gateway after {stop.after_s:.2f} s: {stop.message}", Style.GOOD_BANNER)]
    return [
        Line(" STOP NOT CONFIRMED: PRESS THE STOP BUTTON OF THE ARM ITSELF", Style.BAD_BANNER),
        Line(f"! {stop.message}", Style.BAD),
    ]


def _gateway(snapshot: Snapshot) -> list[Line]:
    latency = snapshot.gateway.latency_ms
    lines = []
    if latency:
        numbers = " / ".join(f"{latency[name]:.0f}" for name in ("p50", "p95", "p99") if name in latency)
        lines.append(Line(f"camera to command p50 / p95 / p99  {numbers} ms"))
    for node in snapshot.nodes:
        if node.name not in ("gateway", "recorder") and node.level is not Level.OK:
            said = "has gone silent" if node.level is Level.STALE else node.message
            bad = node.level is not Level.WARN
            lines.append(Line(f"{'!' if bad else '*'} {node.name}: {said}", Style.BAD if bad else Style.WARN))
    return lines[:4]


def _recorder(snapshot: Snapshot) -> list[Line]:
    status = snapshot.recorder.status
    if status is None:
        said = "has not spoken yet" if snapshot.recorder.present else "is not there: nothing is recorded"
        return [Line(f"! recorder {said}", Style.BAD)]
    return [*_episode(status), Line(f"task: {status.task or '(none: t says it)'}"), _room(status), *_warnings(status)]


def _episode(status: RecorderStatus) -> list[Line]:
    if status.state is RecorderState.READY:
        return [Line("recorder ready", Style.GOOD)]
    if status.state is RecorderState.RECORDING:
        mark = "" if status.success else "  as a FAILURE"
        note = f"  note: {status.note}" if status.note else ""
        return [Line(f"RECORDING {status.episode}  {status.elapsed_s:.0f} s{mark}{note}", Style.STRONG)]
    bad = status.state is RecorderState.STOPPED
    return [Line(f"{'!' if bad else '*'} recorder {status.message}", Style.BAD if bad else Style.WARN)]


def _room(status: RecorderStatus) -> Line:
    free, low = status.free_disk_mb, False
    text = "disk: not known"
    if free is not None:
        low = free < status.start_disk_mb
        text = f"disk {free / _GB:.1f} GB free (needs {status.start_disk_mb / _GB:g})"
    text += f"   waiting {status.waiting_mb:.0f}/{status.queue_mb:.0f} MB   lost {status.lost}"
    text += f"   skew {1e3 * status.camera_skew_s:.0f}/{1e3 * status.skew_limit_s:.0f} ms"
    bad = low or status.lost > 0 or status.camera_skew_s > status.skew_limit_s > 0.0
    return Line(("* " if bad else "") + text, Style.WARN if bad else Style.PLAIN)


def _warnings(status: RecorderStatus) -> list[Line]:
    lines = [Line(f"* {sentence}", Style.WARN) for sentence in status.warnings]
    return lines if len(lines) <= 3 else [*lines[:2], Line(f"* and {len(lines) - 2} more warnings", Style.WARN)]


def _streams(snapshot: Snapshot, rows: int) -> list[Line]:
    status = snapshot.recorder.status
    if status is None or rows < 2:
        return []
    rows = min(rows, _STREAM_ROWS + 2) if rows < len(status.streams) + 1 else rows
    streams = sorted(status.streams, key=lambda stream: (_trouble(stream) is Style.PLAIN, not stream.required))
    heading = f"  {'stream':33}{'Hz':>6}{'usual':>6}{'age s':>7}{'gap s':>7}{'lost':>6}{'miss':>6}{'frozen':>7}"
    shown = streams if len(streams) < rows else streams[: rows - 2]
    lines = [Line(heading, Style.FAINT), *map(_stream, shown)]
    if left := len(streams) - len(shown):
        lines.append(Line(f"  and {left} more, nothing wrong with them", Style.FAINT) if _all_well(streams[-left:])
                     else Line(f"* and {left} more, not all of them well", Style.WARN))  # fmt: skip
    return lines


def _all_well(streams: Sequence[StreamStatus]) -> bool:
    return all(_trouble(stream) is Style.PLAIN for stream in streams)


def _trouble(stream: StreamStatus) -> Style:
    if stream.required and (stream.age_s is None or stream.age_s > SILENT_S):
        return Style.BAD
    gap = stream.limit_s is not None and stream.gap_s > stream.limit_s
    slow = stream.required and 0.0 < stream.hz < _SLOW * stream.usual_hz
    return Style.WARN if gap or slow or stream.lost or stream.missing or stream.frozen else Style.PLAIN


def _stream(stream: StreamStatus) -> Line:
    style = _trouble(stream)
    mark = {Style.BAD: "! ", Style.WARN: "* "}.get(style, "  ")
    topic = stream.topic if len(stream.topic) <= 33 else f"..{stream.topic[-31:]}"
    usual = f"{stream.usual_hz:.1f}" if stream.usual_hz else "-"
    age = "never" if stream.age_s is None else f"{stream.age_s:.2f}"
    counts = f"{stream.lost:6d}{stream.missing:6d}{stream.frozen:7d}"
    return Line(f"{mark}{topic:33}{stream.hz:6.1f}{usual:>6}{age:>7}{stream.gap_s:7.2f}{counts}", style)


def _episodes(view: View, rows: int) -> list[Line]:
    if rows < 2:
        return []
    if view.folder_error:
        return [Line(f"! {view.folder_error}", Style.BAD)]
    good = sum(entry.success is True for entry in view.episodes)
    flagged = sum(bool(entry.flags) for entry in view.episodes)
    heading = f"  {len(view.episodes)} episodes, {good} successful" + (f", {flagged} flagged" if flagged else "")
    first = max(0, min(view.selected - (rows - 1) // 2, len(view.episodes) - (rows - 1)))
    chosen = list(enumerate(view.episodes))[first : first + rows - 1]
    return [Line(heading, Style.FAINT), *(_entry(entry, number == view.selected) for number, entry in chosen)]


def _entry(entry: EpisodeEntry, selected: bool) -> Line:
    success = {True: "success", False: "FAILURE", None: "unknown"}[entry.success]
    flags = f"  flagged: {entry.flags[0]}" if entry.flags else ""
    note = f"  {entry.note}" if entry.note else ""
    text = (
        f"{'>' if selected else ' '} {entry.file:22}{entry.duration_s:7.1f} s{entry.frames:7d}  {success}{note}{flags}"
    )
    style = Style.STRONG if selected else Style.WARN if entry.flags else Style.PLAIN
    return Line(text, style)


def _said(view: View, width: int) -> Line:
    if view.prompt is not None:
        return Line(_typed(view.prompt, width), Style.STRONG)
    return Line(view.said, view.said_style)


def _typed(prompt: str, width: int) -> str:
    """The end of what is being typed, and how to end it where there is room."""
    text = f"{prompt}_"
    if len(text) > width:
        return f"..{text[max(0, len(text) - width + 2) :]}"
    hint = "   (Enter: done, ^G: not at all, Esc: STOP)"
    return text + hint if len(text + hint) <= width else text


def style_of(outcome: Outcome) -> Style:
    """How an answer looks."""
    return {Outcome.DONE: Style.GOOD, Outcome.REFUSED: Style.WARN, Outcome.UNANSWERED: Style.BAD}[outcome]


def why_not(command: Command, snapshot: Snapshot) -> str:
    """Why it makes no sense to ask for this now."""
    if command.service.startswith("/gateway"):
        gateway = snapshot.gateway
        return f"{command.value}: the gateway is {(gateway.mode or 'silent') if gateway.present else 'not there'}"
    status = snapshot.recorder.status
    return f"{command.value}: recorder {'is not there' if status is None else status.message}"
