"""`report.html`: one file with everything in it, light or dark as the reader likes, made to be read on a phone too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from spark_ros.evaluation import charts
from spark_ros.evaluation.results import EpisodeResult

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1a1f27; --soft: #5d6776; --line: #dfe3e9;
  --blue: #2f6fed; --good: #1f9d61; --bad: #d64545; --warm: #c77d0a; }
@media (prefers-color-scheme: dark) { :root { --page: #12151a; --card: #1b2027; --text: #e7eaef; --soft: #98a2b1;
  --line: #313845; --blue: #6b9bff; --good: #45c48a; --bad: #ff7b7b; --warm: #f0b254; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 16px 56px; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 40px 0 12px; }
p { margin: 0 0 8px; } .soft { color: var(--soft); } small, .small { font-size: .84rem; }
.tag { display: inline-block; padding: 1px 10px; border: 1px solid var(--line); border-radius: 999px;
  font-size: .84rem; color: var(--soft); background: var(--card); margin: 6px 6px 0 0; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); margin-top: 20px; }
.card, figure { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.wide { grid-column: span 2; } @media (max-width: 620px) { .wide { grid-column: 1 / -1; } }
.big { font-size: 1.9rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.big small { font-weight: 400; color: var(--soft); font-size: .92rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.grid { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
figure { margin: 0; padding: 10px; } figcaption { font-size: .88rem; padding: 6px 4px 0; }
video { display: block; width: 100%; border-radius: 6px; background: #000; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; } th { font-weight: 600; color: var(--soft); white-space: nowrap; }
.n { text-align: right; white-space: nowrap; } .facts th { width: 9.5em; } .facts td { overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 16px;
  font-size: .86rem; margin: 0; }
a { color: var(--blue); }
svg { display: block; width: 100%; height: auto; } svg text { font: 17px system-ui, sans-serif; fill: var(--soft); }
svg .axis { stroke: var(--line); } svg .thick { stroke-width: 6; stroke-linecap: round; }
svg .range { stroke: var(--blue); stroke-width: 6; stroke-linecap: round; opacity: .45; }
svg .point { fill: var(--blue); } svg .bar { fill: var(--blue); opacity: .55; }
svg .curve { fill: none; stroke: var(--warm); stroke-width: 2; }
svg .mark { stroke: var(--soft); stroke-dasharray: 3 3; } svg .limit { stroke: var(--bad); stroke-width: 2; }
svg rect.good { fill: var(--good); } svg rect.bad { fill: var(--bad); }
"""


def render_page(report: Mapping[str, Any], results: Sequence[EpisodeResult], videos: Mapping[int, str]) -> str:
    """The page.

    Args:
        report: As written to `report.json`.
        results: The episodes.
        videos: Some of them as base64 MP4, by seed, in the order to show.
    """
    body = [
        _heading(report),
        f'<section class="cards">{"".join(_cards(report))}</section>',
        _videos(results, videos),
        _charts(report, results),
        _table(results),
        _facts("What was evaluated", {**report["pilot_facts"], **report["settings"]}),
        _facts("Where", report["environment"]),
        f"<h2>Run it again</h2><pre>{escape(report['command'])}</pre>",
        f'<p class="soft small" style="margin-top:24px">Written {escape(report["created"])} by spark_ros.</p>',
    ]
    title = f"{report['pilot']}: {report['successes']} of {report['episodes']}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _heading(report: Mapping[str, Any]) -> str:
    tags = [report["mode"], f"task {report['task']}", report["pilot"]]
    return f"<h1>“{escape(report['instruction'])}”</h1>" + "".join(
        f'<span class="tag">{escape(tag)}</span>' for tag in tags
    )


def _cards(report: Mapping[str, Any]) -> list[str]:
    low, high = report["wilson95"]
    rate = report["success_rate"]
    cards = [
        _card(
            f"{report['successes']}<small> of {report['episodes']} episodes succeeded, {100 * rate:.0f}%</small>",
            charts.interval(rate, low, high)
            + f'<p class="soft small">95% interval (Wilson): {100 * low:.0f} to {100 * high:.0f}%</p>',
            "wide",
        )
    ]
    if latency := report["latency_ms"]:
        cards.append(
            _card(
                f"{latency['p50']:.0f} ms<small> p50</small>",
                f"<p>{latency['p95']:.0f} ms p95, {latency['p99']:.0f} ms p99</p>"
                f'<p class="soft small">{escape(report["latency_of"])}</p>',
            )
        )
    if loop := report["loop"]:
        verdict = '<span class="good">kept</span>' if loop["sustained"] else '<span class="bad">not kept</span>'
        cards.append(
            _card(
                f"{loop['rate_hz']:.2f} Hz<small> {verdict}</small>",
                f"<p>{loop['interval_ms']['p99']:.0f} ms between chunks at p99</p>"
                f'<p class="soft small">at most two periods of {loop["period_ms"]:.0f} ms are allowed</p>',
            )
        )
    if times := report["time_to_success_s"]:
        cards.append(
            _card(
                f"{times['p50']:.1f} s<small> to success</small>",
                f"<p>{times['p95']:.1f} s p95, of {report['max_duration_s']:.0f} s allowed</p>"
                f'<p class="soft small">the world ran at {report["speed"]:.2f} of real time</p>',
            )
        )
    return cards


def _card(headline: str, rest: str, kind: str = "") -> str:
    return f'<div class="card {kind}"><div class="big">{headline}</div>{rest}</div>'


def _videos(results: Sequence[EpisodeResult], videos: Mapping[int, str]) -> str:
    if not videos:
        return ""
    by_seed = {result.seed: result for result in results}
    figures = [
        f'<figure><video controls autoplay muted loop playsinline src="data:video/mp4;base64,{video}"></video>'
        f"<figcaption>{_outcome(by_seed[seed])} · seed {seed} · {by_seed[seed].duration_s:.1f} s</figcaption></figure>"
        for seed, video in videos.items()
    ]
    return f'<h2>What the policy saw</h2><div class="grid">{"".join(figures)}</div>'


def _charts(report: Mapping[str, Any], results: Sequence[EpisodeResult]) -> str:
    figures = []
    if latency := report["latency_ms"]:
        values = [value for result in results for value in result.latency_ms]
        marks = {name: latency[name] for name in ("p50", "p95", "p99")}
        figures.append(
            f"<figure>{charts.histogram(values, 'ms', marks)}<figcaption>Latency of {len(values)} chunks: "
            f"{escape(report['latency_of'])}. Bars count, the curve accumulates.</figcaption></figure>"
        )
    if loop := report["loop"]:
        values = [value for result in results for value in result.interval_ms]
        chart = charts.histogram(values, "ms", {"p99": loop["interval_ms"]["p99"]}, 2 * loop["period_ms"])
        figures.append(
            f"<figure>{chart}<figcaption>Time between chunks that the arm came to follow; "
            "the red line is two periods.</figcaption></figure>"
        )
    figures.append(
        f"<figure>{charts.timeline(results, report['max_duration_s'])}<figcaption>Episodes in order: "
        '<span class="good">success</span> and <span class="bad">failure</span>.</figcaption></figure>'
    )
    return f'<h2>Times</h2><div class="grid">{"".join(figures)}</div>'


def _table(results: Sequence[EpisodeResult]) -> str:
    rows = []
    for number, result in enumerate(results, 1):
        ordered = sorted(result.latency_ms)
        latency = f"{ordered[len(ordered) // 2]:.0f} / {ordered[-1]:.0f}" if ordered else ""
        ending = "" if result.success else escape(result.ending)
        video = f'<a href="videos/{escape(result.video)}">video</a>' if result.video else ""
        rows.append(
            f'<tr><td class="n">{number}</td><td class="n">{result.seed}</td><td>{_outcome(result)}</td>'
            f'<td class="n">{result.duration_s:.1f}</td><td class="n">{len(result.latency_ms)}</td>'
            f'<td class="n">{latency}</td><td>{ending} {video}</td></tr>'
        )
    head = "".join(
        f'<th class="{kind}">{text}</th>'
        for text, kind in (
            ("#", "n"),
            ("seed", "n"),
            ("result", ""),
            ("task time, s", "n"),
            ("chunks", "n"),
            ("latency p50 / max, ms", "n"),
            ("", ""),
        )
    )
    return (
        f'<h2>Every episode</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _facts(title: str, facts: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    return f'<h2>{escape(title)}</h2><div class="scroll"><table class="facts">{rows}</table></div>'


def _outcome(result: EpisodeResult) -> str:
    return '<span class="good">success</span>' if result.success else '<span class="bad">failure</span>'
