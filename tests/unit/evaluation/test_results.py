import pytest

from spark_ros.contracts import SparkError
from spark_ros.evaluation.results import RESULTS_FILE, EpisodeLog, EpisodeResult, summary

SETUP = {"pilot": "a-1", "seed": 0, "episodes": 3}


def result(seed, success=True, **more):
    return EpisodeResult(seed, success, 5.0, "success" if success else "time is up", 1.0, (60.0, 70.0), **more)


def keep(folder, *results, finished=False):
    with EpisodeLog(folder, SETUP) as log:
        for one in results:
            log.add(one)
        if finished:
            log.finish()


def kept(folder, **change):
    with EpisodeLog(folder, {**SETUP, **change}) as log:
        return log.results


def test_an_interrupted_evaluation_goes_on(tmp_path):
    one = result(7, interval_ms=(100.0,), video="a.mp4")
    keep(tmp_path, one)
    assert kept(tmp_path) == {7: one}


def test_a_line_torn_by_a_crash_costs_that_episode_only(tmp_path):
    keep(tmp_path, result(7), result(8))
    file = tmp_path / RESULTS_FILE
    file.write_bytes(file.read_bytes()[:-20])
    keep(tmp_path, result(9))
    assert set(kept(tmp_path)) == {7, 9}


def test_a_crash_before_the_first_line_was_written_is_a_new_start(tmp_path):
    keep(tmp_path)
    file = tmp_path / RESULTS_FILE
    file.write_bytes(file.read_bytes()[:10])
    keep(tmp_path, result(7))
    assert set(kept(tmp_path)) == {7}


def test_a_finished_evaluation_is_done_afresh_and_the_old_one_put_aside(tmp_path):
    keep(tmp_path, result(7), finished=True)
    assert kept(tmp_path) == {}
    assert (tmp_path / "episodes.old.jsonl").read_text().count("\n") == 3


@pytest.mark.parametrize("change", [{"pilot": "b-2"}, {"episodes": 5}, {"seed": 1}])
def test_results_of_another_evaluation_are_never_mixed_in(tmp_path, change):
    keep(tmp_path, result(7))
    assert kept(tmp_path, **change) == {}


def test_two_evaluations_never_write_to_one_folder(tmp_path):
    with EpisodeLog(tmp_path, SETUP), pytest.raises(SparkError, match="another evaluation is writing to"):
        EpisodeLog(tmp_path, SETUP)
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("damage", ["nonsense\n", '{"seed": 3}\n'])
def test_a_damaged_log_is_refused(tmp_path, damage):
    keep(tmp_path, result(7))
    with (tmp_path / RESULTS_FILE).open("a") as stream:
        stream.write(damage)
    with pytest.raises(SparkError, match=r"is damaged .* delete it or choose another folder"):
        EpisodeLog(tmp_path, SETUP)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SparkError, match=r"cannot write to .*choose another folder"):
        EpisodeLog(tmp_path / "file" / "out", SETUP)


def test_the_summary_counts_and_says_how_sure_it_is():
    found = summary([result(1), result(2), result(3, success=False)])
    assert (found["success_rate"], found["successes"], found["episodes"]) == (0.6667, 2, 3)
    assert found["wilson95"] == pytest.approx([0.2077, 0.9385], abs=1e-4)
    assert found["latency_ms"]["p50"] == 65.0
    assert found["interval_ms"] is None
    assert found["time_to_success_s"]["p50"] == 5.0
