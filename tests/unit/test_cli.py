"""The command line's promises: help without heavy imports, one clear line for every error, honest exit codes."""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spark_ros import cli
from spark_ros.commands import up
from spark_ros.contracts import SparkError
from spark_ros.training.interrupt import Interrupted

sys.path.insert(0, str(Path(__file__).parent / "bundle"))  # bundle_for_tests


def commands(parser=None, words=()):
    """Every command with its parser."""
    parser = parser or cli.parser()
    children = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not children:
        yield words, parser
    for action in children:
        for name, child in action.choices.items():
            yield from commands(child, (*words, name))


def run(monkeypatch, error):
    """`spark-ros up` where starting the graph raises `error`."""

    def start(*_):
        raise error

    monkeypatch.setattr(up, "_run", start)
    return cli.main(["up"])


def test_every_command_explains_itself():
    found = dict(commands())
    assert {words[0] for words in found} == {
        *("up", "console", "record", "train", "export", "eval", "bundle", "data", "trace", "weights", "doctor")
    }
    for words, parser in found.items():
        assert parser.description, words
        assert callable(parser.get_default("run")), words
        for action in parser._actions:
            assert action.help, f"{' '.join(words)}: {action.dest} is not explained"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from spark_ros import cli; cli.parser().format_help();"
        "print([m for m in ('torch', 'mujoco', 'rclpy', 'onnxruntime', 'cv2', 'pinocchio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_make_demo_runs_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import spark_ros.evaluation.lockstep, spark_ros.evaluation.report, spark_ros.evaluation.demos\n"
        "import importlib.util\n"
        "if importlib.util.find_spec('rclpy'): import spark_ros.evaluation.through_ros\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_person_can_put_right_is_one_line_and_exit_2(monkeypatch, capsys):
    assert run(monkeypatch, SparkError("no bundle 'x': choose another")) == 2
    assert capsys.readouterr().err == "spark-ros: error: no bundle 'x': choose another\n"


def test_an_interrupted_training_is_no_error(monkeypatch, capsys):
    assert run(monkeypatch, Interrupted("stopped at step 3: run again")) == 130
    assert capsys.readouterr().err == "spark-ros: stopped at step 3: run again\n"


def test_ctrl_c_is_one_line_and_exit_130(monkeypatch, capsys):
    assert run(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "spark-ros: interrupted\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ctypes.ArgumentError("argument 1: KeyboardInterrupt"), []),  # what a library makes of Ctrl-C
        (OSError("no space left on the disk"), ["spark-ros: OSError: no space left on the disk"]),
    ],
)
def test_after_ctrl_c_any_error_is_an_interruption_and_only_what_is_not_ctrl_c_is_told(
    monkeypatch, capsys, error, said
):
    def start(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr(up, "_run", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main(["up"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines() == [*said, "spark-ros: interrupted"]


def test_ctrl_c_that_is_ignored_in_the_background_stays_ignored(monkeypatch):
    monkeypatch.setattr(up, "_run", lambda *_: signal.raise_signal(signal.SIGINT) or 0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert cli.main(["up"]) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, capsys):
    assert run(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch")) == 2
    assert "pip install 'spark_ros[train]'" in capsys.readouterr().err


def test_a_bug_is_not_hidden(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, ZeroDivisionError())
    with pytest.raises(ModuleNotFoundError):
        run(monkeypatch, ModuleNotFoundError("No module named 'spark_ros.x'", name="spark_ros.x"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["eval", "--bundle", "no_such"], "no bundle 'no_such'"),
        (["eval", "--run", "no_such"], "no_such holds no training run"),
        (["eval", "--run", "x", "--through-ros"], "leave out --through-ros"),
        (["eval", "--composed"], "add --through-ros"),
        (["eval", "--robot", "ur3e"], "no bundle 'ur3e_lift'"),
        (["eval", "--delay-ms", "-5"], "--delay-ms -5.0 is not possible"),
        (["bundle", "verify", "no_such"], "no bundle 'no_such'"),
        (["bundle", "inspect", "no_such"], "no bundle 'no_such'"),
        (["export", "--run", "no_such", "--out", "b"], "no_such holds no training run"),
        (["data", "info", "no_such"], "there is no folder no_such"),
        (["data", "validate", "no_such"], "there is no folder no_such"),
        (["data", "recover", "no_such"], "there is no folder no_such"),
        (["data", "stats", "no_such"], "there is no folder no_such"),
        (["data", "replay", "no_such"], "there is no folder no_such"),
        (["data", "split", "no_such", "--out", "out"], "there is no folder no_such"),
        (["data", "merge", "no_such", "neither", "--out", "out"], "there is no folder no_such"),
        (["data", "export", "lerobot", "no_such", "--out", "out"], "there is no folder no_such"),
        (["data", "import", "lerobot", "no_such", "--out", "out"], "no_such holds no LeRobot dataset"),
        (["data", "push", "no_such", "user/name"], "no_such holds no LeRobot dataset"),
        (["record", "--task", "juggle"], "unknown task 'juggle'"),
        (["record", "--cameras", "back"], "unknown camera 'back'"),
        (["record", "--perturb", "7"], "--perturb 7.0 is no part"),
        (["train", "policy", "--config", "no_such.yaml"], "no configuration file no_such.yaml"),
        (["weights", "fetch", "nowhere"], "weights source 'nowhere' is unknown"),
        (["up", "party"], "no graph 'party'"),
        (["up", "sm:=true"], "did you mean sim?"),
        (["up", "manipulation", "fast"], "write name:=value"),
        (["up", "--robot", "spot", "teleop"], "unknown robot 'spot': choose one of"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_leaves_nothing_behind(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("spark-ros: error: ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["eval", "--episodes", "0"], ["eval", "--seed", "-1"], ["dance"], []])
def test_wrong_use_is_exit_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: spark-ros" in capsys.readouterr().err


def test_the_arguments_of_a_graph_can_be_listed(capsys):
    assert cli.main(["up", "teleop", "--show-args"]) == 0
    shown = capsys.readouterr().out
    assert "operator:=human (human, expert)" in shown
    assert "sim:=false (true, false)" in shown


def test_the_last_line_of_eval_is_one_json_object(bundle_for_cli, tmp_path, capsys, monkeypatch):
    from spark_ros.sim.tasks.lift import LiftTask

    monkeypatch.setattr(LiftTask, "max_duration_s", 0.5)
    out = tmp_path / "out"
    words = ["eval", "--bundle", str(bundle_for_cli), "--episodes", "2", "--seed", "3", "--json", "--out", str(out)]
    assert cli.main([*words, "--videos"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["episodes"] == 2
    assert 0.0 <= found["success_rate"] <= 1.0
    assert len(found["wilson95"]) == 2
    assert "latency_ms" in found
    report = json.loads((out / "report.json").read_text())
    assert [row["seed"] for row in report["per_episode"]] == [1_000_000_003, 1_000_000_004]
    assert (out / "report.html").exists()
    assert report["command"].startswith(f"spark-ros eval --bundle {bundle_for_cli} --task lift --episodes 2 --seed 3")


@pytest.fixture
def bundle_for_cli(tmp_path):
    from bundle_for_tests import write_bundle

    return write_bundle(tmp_path / "tiny")


def test_a_bundle_can_be_looked_into_and_tested(bundle_for_cli, capsys):
    assert cli.main(["bundle", "inspect", str(bundle_for_cli)]) == 0
    assert "lift the cube" in capsys.readouterr().out
    assert cli.main(["bundle", "inspect", "--json", str(bundle_for_cli)]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "lift the cube"
    assert cli.main(["bundle", "verify", str(bundle_for_cli)]) == 0
    assert "works on this machine" in capsys.readouterr().out


def test_a_bundle_of_another_arm_than_the_one_asked_for_is_refused(bundle_for_cli, capsys):
    assert cli.main(["eval", "--bundle", str(bundle_for_cli), "--robot", "ur5e"]) == 2
    assert "drives fr3, not --robot ur5e" in capsys.readouterr().err


def test_a_tampered_bundle_is_refused(bundle_for_cli, capsys):
    file = bundle_for_cli / "policy.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    for words in (["bundle", "verify"], ["eval", "--bundle"]):
        assert cli.main([*words, str(bundle_for_cli)]) == 2
        assert "policy.onnx is not the file that was exported" in capsys.readouterr().err


def test_the_doctor_names_what_is_missing(capsys, monkeypatch):
    from spark_ros.commands import doctor

    def no_graphics():
        raise SparkError("cannot open off-screen graphics: run `apt-get install -y libegl1`")

    monkeypatch.setattr(doctor, "_simulator", no_graphics)
    monkeypatch.setattr(doctor, "_ros", lambda: doctor.Finding("ok", "here"))
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("fix") and "libegl1" in line for line in lines)
    assert lines[-1] == "1 to fix"
