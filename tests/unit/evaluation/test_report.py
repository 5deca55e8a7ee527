import base64
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from spark_ros.evaluation.report import Evaluation, choose_videos, write_report
from spark_ros.evaluation.results import EpisodeResult


def result(seed, success=True, video=True):
    ending = "success" if success else "policy stalled: <no chunk> for 0.5 s"
    latencies = tuple(50.0 + seed + i for i in range(20))
    intervals = tuple(100.0 + i for i in range(19))
    return EpisodeResult(
        seed, success, 5.0 + seed, ending, 1.0, latencies, intervals, f"seed_{seed}.mp4" if video else ""
    )


@pytest.fixture
def evaluation():
    return Evaluation(
        "fr3_lift-0123456789ab",
        {"bundle": "fr3_lift-0123456789ab"},
        "lift",
        "pick up the <red> cube & lift it",
        "through ROS",
        "capture to command",
        10.0,
        12.0,
        {"machine": "2 cores"},
        "spark-ros eval --bundle fr3_lift",
        {"scenes": "seeds 0 to 9"},
    )


@pytest.fixture
def written(evaluation, tmp_path):
    results = [result(seed, success=seed not in (2, 5)) for seed in range(10)]
    (tmp_path / "videos").mkdir()
    for one in results:
        (tmp_path / "videos" / one.video).write_bytes(b"video of %d" % one.seed)
    return write_report(tmp_path, evaluation, results), tmp_path


def test_the_json_holds_the_figures(written):
    report, folder = written
    stored = json.loads((folder / "report.json").read_text())
    assert stored == report
    assert (stored["success_rate"], stored["episodes"]) == (0.8, 10)
    assert set(stored["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert stored["loop"]["sustained"]
    assert stored["loop"]["period_ms"] == 100.0
    assert [row["seed"] for row in stored["per_episode"]] == list(range(10))
    assert stored["per_episode"][2]["ending"].startswith("policy stalled")


def test_the_page_needs_no_other_file(written):
    _, folder = written
    page = (folder / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|videos/)", page)
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    videos = [base64.b64decode(data).decode() for data in re.findall(r"data:video/mp4;base64,([^\"]+)", page)]
    assert len(videos) == 6
    assert videos[:2] == ["video of 2", "video of 5"], "failures come first"


def test_the_page_is_well_formed_and_nothing_in_it_is_markup_by_accident(written):
    _, folder = written
    page = (folder / "report.html").read_text()
    assert "pick up the &lt;red&gt; cube &amp; lift it" in page
    assert "&lt;no chunk&gt;" in page

    class Balance(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


def test_a_policy_that_skips_periods_has_not_kept_its_rate(evaluation, tmp_path):
    slow = EpisodeResult(0, True, 5.0, "success", 1.0, (60.0,), (100.0, 350.0, 100.0))
    report = write_report(tmp_path, evaluation, [slow])
    assert not report["loop"]["sustained"]
    assert report["loop"]["over_two_periods"] == pytest.approx(1 / 3, abs=1e-4)
    assert "not kept" in (tmp_path / "report.html").read_text()


def test_a_report_without_videos_or_chunks_is_still_a_report(evaluation, tmp_path):
    report = write_report(tmp_path, evaluation, [EpisodeResult(0, False, 0.0, "no joint state", 0.0)])
    assert (report["success_rate"], report["latency_ms"], report["loop"]) == (0.0, None, None)
    assert "What the policy saw" not in (tmp_path / "report.html").read_text()


def test_a_deleted_video_does_not_spoil_the_report(evaluation, tmp_path):
    write_report(tmp_path, evaluation, [result(0)])
    assert "data:video" not in (tmp_path / "report.html").read_text()


def test_videos_show_failures_but_not_only_failures():
    results = [result(seed, success=seed % 2 == 0) for seed in range(20)]
    assert [one.success for one in choose_videos(results)] == [False] * 3 + [True] * 3
    failures = [result(seed, success=False) for seed in range(20)]
    assert len(choose_videos(failures)) == 6
    assert len(choose_videos([result(seed) for seed in range(4)])) == 4
    assert choose_videos([result(0, video=False)]) == []
