"""The package finds its own files wherever it was installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spark_ros import shares
from spark_ros.contracts import SparkError


def copy_module(folder: Path) -> None:
    """Only what `shares` needs of the package."""
    package = folder / "spark_ros"
    package.mkdir(parents=True)
    source = Path(shares.__file__).parent
    for name in ("__init__.py", "contracts.py", "shares.py"):
        shutil.copy(source / name, package / name)


def make_share(folder: Path) -> Path:
    (folder / "config").mkdir(parents=True)
    (folder / "package.xml").write_text("<package/>")
    return folder


def found_from(site_packages: Path, **environment: str) -> str:
    code = "from spark_ros.shares import share_directory; print(share_directory())"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site_packages), **environment},
        cwd=site_packages,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


@pytest.mark.parametrize("layout", ["lib/python3.11/site-packages", "local/lib/python3.11/dist-packages"])
def test_an_installation_is_found_from_its_prefix(tmp_path: Path, layout: str) -> None:
    share = make_share(tmp_path / "share" / "spark_ros")
    copy_module(tmp_path / layout)
    assert found_from(tmp_path / layout) == str(share)


def test_a_source_checkout_wins_over_an_installed_copy(tmp_path: Path) -> None:
    copy_module(tmp_path / "checkout")
    make_share(tmp_path / "checkout")
    make_share(tmp_path / "prefix" / "share" / "spark_ros")
    found = found_from(tmp_path / "checkout", AMENT_PREFIX_PATH=str(tmp_path / "prefix"))
    assert found == str(tmp_path / "checkout")


def test_the_ament_index_is_the_last_resort(tmp_path: Path) -> None:
    share = make_share(tmp_path / "prefix" / "share" / "spark_ros")
    copy_module(tmp_path / "elsewhere")
    assert found_from(tmp_path / "elsewhere", AMENT_PREFIX_PATH=f"/none:{tmp_path / 'prefix'}") == str(share)


def test_an_unknown_bundle_is_refused_with_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models" / "fr3_lift").mkdir(parents=True)
    monkeypatch.setattr(shares, "share_directory", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    assert shares.bundle_directory("fr3_lift") == tmp_path / "models" / "fr3_lift"
    assert shares.bundle_directory("models/fr3_lift") == tmp_path / "models" / "fr3_lift"
    with pytest.raises(SparkError, match=r"no bundle 'fr3_lfit'.*fr3_lift.*spark-ros export"):
        shares.bundle_directory("fr3_lfit")


def test_a_missing_configuration_file_is_one_sentence() -> None:
    with pytest.raises(SparkError, match=r"no nonsense.yaml in"):
        shares.config_file("nonsense.yaml")
