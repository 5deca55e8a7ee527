"""A bundle as one file: the same bytes each time, and nothing but a bundle comes out of it."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_for_tests import seal, write_bundle

from spark_ros import shares
from spark_ros.bundle.archive import KEPT_UNPACKED, MAX_FILE_BYTES, pack, unpack, unpacked
from spark_ros.bundle.load import load_bundle
from spark_ros.cli import main
from spark_ros.contracts import SparkError
from spark_ros.evaluation.pilots import bundle_pilot


@pytest.fixture
def archive(pristine_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pack(pristine_bundle, tmp_path / "tiny.tar")
    return tmp_path / "tiny.tar"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refusal(archive: Path) -> str:
    """The sentence; whatever is refused leaves nothing behind."""
    out = archive.parent / "out" / "bundle"
    with pytest.raises(SparkError) as caught:
        unpack(archive, out)
    assert "\n" not in str(caught.value)
    assert not list(out.parent.iterdir())
    return str(caught.value)


def test_the_same_bundle_gives_the_same_bytes_whenever_and_wherever(bundle_folder, archive):
    for i, file in enumerate(sorted(bundle_folder.iterdir(), reverse=True)):
        os.utime(file, (1e9 + i, time.time()))
        file.chmod(0o600)
    pack(bundle_folder, archive.with_name("again.tar"))
    assert archive.with_name("again.tar").read_bytes() == archive.read_bytes()


def test_what_was_packed_comes_out_again(pristine_bundle, archive, tmp_path):
    manifest = unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(pristine_bundle)
    assert manifest == load_bundle(pristine_bundle).manifest


def test_any_tar_program_can_list_it(archive, pristine_bundle):
    with tarfile.open(archive) as file:
        assert file.getnames()[0] == "bundle.yaml" and set(file.getnames()) == set(contents(pristine_bundle))


def test_packed_bundle_is_opened_wherever_a_folder_is(archive, pristine_bundle):
    assert shares.bundle_directory(str(archive)) == archive
    first, second = load_bundle(archive), load_bundle(archive)
    assert first.folder == second.folder and first.manifest == load_bundle(pristine_bundle).manifest
    assert bundle_pilot(archive).id == first.manifest.id


def test_changed_cache_is_made_again_from_the_archive(archive):
    folder = load_bundle(archive).folder
    (folder / "encoder.onnx").write_bytes(b"nonsense")
    assert load_bundle(archive).manifest.id.startswith("tiny-")


def test_another_sound_bundle_in_the_cache_is_not_taken_for_the_packed_one(archive):
    folder = load_bundle(archive).folder
    manifest = load_bundle(archive).manifest
    seal(folder, manifest.model_dump(mode="json", exclude_defaults=True) | {"rate_hz": 20.0})
    assert load_bundle(archive).manifest == manifest


def test_cache_keeps_the_bundles_that_were_used_last(archive, tmp_path):
    folder, _ = unpacked(archive)
    earlier = [folder.parent / f"{number:064x}" for number in range(KEPT_UNPACKED)]
    for age, other in enumerate(earlier):
        other.mkdir()
        os.utime(other, (1e9 - age, 1e9 - age))
    shutil.rmtree(folder)
    unpacked(archive)
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, *(path.name for path in earlier[:-1])}


def test_folder_that_is_there_is_not_overwritten(archive, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SparkError, match="is already there"):
        unpack(archive, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def rewrite(archive: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> None:
    """Write it anew, entry by entry as `change` gives them."""
    with tarfile.open(archive) as file:
        entries = [(info, file.extractfile(info).read()) for info in file]  # type: ignore[union-attr]
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as file:
        for info, content in entries:
            for new, bytes_ in change(info, content):
                file.addfile(new, io.BytesIO(bytes_))


def of_kind(kind: bytes, target: str = "") -> Callable:
    def change(info, content):
        if info.name != "policy.onnx":
            return [(info, content)]
        info.type, info.linkname, info.size = kind, target, 0
        return [(info, b"")]

    return change


def named(name: str) -> Callable:
    def change(info, content):
        if info.name == "policy.onnx":
            info.name = name
        return [(info, content)]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (of_kind(tarfile.SYMTYPE, "/etc/passwd"), "which is a link"),
        (of_kind(tarfile.LNKTYPE, "encoder.onnx"), "which is a link"),
        (of_kind(tarfile.CHRTYPE), "which is a device"),
        (of_kind(tarfile.BLKTYPE), "which is a device"),
        (of_kind(tarfile.FIFOTYPE), "which is a pipe"),
        (of_kind(tarfile.DIRTYPE), "which is a folder"),
        (named("../policy.onnx"), "leaves the bundle's folder"),
        (named("/tmp/policy.onnx"), "leaves the bundle's folder"),
        (named("a/policy.onnx"), "leaves the bundle's folder"),
        (named(".."), "leaves the bundle's folder"),
        (named("long" * 60), "of an unknown kind"),
        (named("encoder.onnx"), "holds encoder.onnx twice"),
        (named("stranger.onnx"), "policy.onnx"),
        (lambda i, c: [(i, c)] * (2 if i.name == "NOTICE.txt" else 1), "NOTICE.txt twice"),
        (lambda i, c: [] if i.name == "policy.onnx" else [(i, c)], "lacks policy.onnx"),
        (lambda i, c: [] if i.name == "bundle.yaml" else [(i, c)], "not with a manifest"),
        (lambda i, c: [], "begins with nothing"),
        (lambda i, c: [(i, c)] * (70 if i.name == "NOTICE.txt" else 1), "more than 64 files"),
    ],
)
def test_archive_that_pack_would_not_write_is_refused(archive, change, says):
    rewrite(archive, change)
    assert says in refusal(archive)


@pytest.mark.parametrize("size", [10 * 10**9, MAX_FILE_BYTES + 1, 10**6, -1])
def test_claim_beyond_what_is_there_is_refused_before_anything_is_read(archive, size):
    content = bytearray(archive.read_bytes())
    begin = content.index(b"encoder.onnx\0")
    info = tarfile.TarInfo.frombuf(bytes(content[begin : begin + 512]), "utf-8", "strict")
    info.size = size
    content[begin : begin + 512] = info.tobuf(tarfile.GNU_FORMAT)
    archive.write_bytes(content)
    started = time.process_time()
    assert "claims" in refusal(archive) and "encoder.onnx" in refusal(archive)
    assert time.process_time() - started < 5


def test_flipped_byte_is_refused(archive):
    content = bytearray(archive.read_bytes())
    content[content.index(b"encoder.onnx\0") + 512 + 10] ^= 1
    archive.write_bytes(content)
    assert "encoder.onnx is not the file that was exported" in refusal(archive)


@pytest.mark.parametrize("length", [0, 100, 512, 3000, -1, -11000])
def test_truncated_archive_is_refused(archive, length):
    archive.write_bytes(archive.read_bytes()[:length])
    assert str(archive) in refusal(archive)


@pytest.mark.parametrize("content", [b"\x1f\x8b" + bytes(600), b"PK\x03\x04" + bytes(600), b"\x80\x04pickle" * 100])
def test_other_kinds_of_file_are_refused(archive, content):
    archive.write_bytes(content)
    assert "is no packed bundle" in refusal(archive)


def test_bytes_behind_the_end_are_refused(archive):
    archive.write_bytes(archive.read_bytes() + b"payload" * 100)
    assert "does not end as it should" in refusal(archive)


def test_commands_pack_compare_and_unpack(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "tiny")
    other = write_bundle(tmp_path / "other")
    (other / "statistics.json").write_text('{"action": {"names": ["dx", "dy"], "mean": [0.5, 1.0]}}')
    manifest = load_bundle(tmp_path / "tiny").manifest.model_dump(mode="json", exclude_defaults=True)
    seal(other, manifest | {"rate_hz": 20.0})
    assert main(["bundle", "pack", "tiny", "--out", "a.tar"]) == 0
    assert main(["bundle", "pack", "a.tar", "--out", "b.zip"]) == 2
    assert main(["bundle", "unpack", "a.tar"]) == 0
    assert main(["bundle", "diff", "a", "a.tar"]) == 0
    capsys.readouterr()
    assert main(["bundle", "diff", "tiny", "other"]) == 1
    said = capsys.readouterr().out
    for line in ("rate_hz: 10 -> 20", "statistics.json: ", "action.mean[dx]: nothing -> 0.5"):
        assert line in said
    assert main(["bundle", "diff", "tiny", "other", "--json"]) == 1
    assert '"place": "rate_hz"' in capsys.readouterr().out
    assert main(["bundle", "inspect", "a.tar", "--json"]) == 0
    assert main(["bundle", "verify", "a.tar"]) == 0
