#!/usr/bin/env bash
# Makes .venv with what the named set of extras needs, and checks the system libraries that pip cannot bring.
#   scripts/bootstrap.sh demo    the simulator, the robot side and ROS 2: no torch
#   scripts/bootstrap.sh dev     the same with the trainer, tests and linters
# Runs again in a second when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

set_name=${1:-nothing}
case "$set_name" in
  demo) extras="cpu,sim,console" ;;
  dev) extras="cpu,openvino,sim,train,fci,console,dev" ;;
  *) echo "bootstrap: '$set_name' is neither demo nor dev" >&2; exit 2 ;;
esac

# --- system libraries: MuJoCo renders through EGL, on Mesa where there is no GPU -------------------------
missing=()
if command -v dpkg-query >/dev/null; then
  for package in libegl1 libegl-mesa0 libgl1-mesa-dri; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
  done
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "bootstrap: installing ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  else
    echo "bootstrap: missing system libraries; run: sudo apt-get install ${missing[*]}" >&2
    exit 2
  fi
fi

# --- a browser: the session console's tests drive a real one, without a window, and are skipped where there is none ------
if [ "$set_name" = dev ] && ! { command -v chromium && command -v chromedriver; } >/dev/null; then
  browser="chromium chromium-driver fonts-dejavu-core"  # the driver from where the browser is from, so that they fit
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "bootstrap: installing $browser"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $browser; } ||
      echo "bootstrap: no browser for the console's tests, see above; they will be skipped" >&2
  else
    echo "bootstrap: the console's tests will be skipped without a browser; on Debian: sudo apt-get install $browser" >&2
  fi
fi

# --- Python ---------------------------------------------------------------------------------------------
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "bootstrap: no $python here; install Python 3.10 to 3.13" >&2; exit 2; }
"$python" - <<'PY' || exit 2
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"bootstrap: Python {sys.version.split()[0]} found, 3.10 to 3.13 needed; name one with PYTHON=python3.12 make ...")
PY

# A sourced ROS 2 is used as it is; elsewhere the ROS 2 Jazzy wheels come from the package index.
venv_options=()
if [ -n "${ROS_DISTRO:-}" ] && "$python" -c "import rclpy" 2>/dev/null; then
  venv_options+=(--system-site-packages)
elif [ "$(uname -sm)" = "Linux x86_64" ]; then
  extras="$extras,ros"
else
  echo "bootstrap: the ROS 2 wheels are for Linux x86_64, this is $(uname -sm): source a ROS 2 Jazzy first" >&2
  exit 2
fi

# Debian's python3 without python3-venv leaves a .venv without pip behind, so what counts is that pip runs.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  "$python" -m venv ${venv_options[@]+"${venv_options[@]}"} .venv >/dev/null || {
    echo "bootstrap: could not make .venv; on Debian and Ubuntu run: sudo apt-get install python3-venv" >&2
    exit 2
  }
fi

# What is compiled is installed anew when its sources change.
compiled_sources() { for types in spark_ros/*/*.pxd; do echo "${types%.pxd}.py" "$types"; done; }
stamp=".venv/.installed-$(printf '%s' "$extras" | tr ',' '-')-$(cat setup.py pyproject.toml $(compiled_sources) | cksum | cut -d' ' -f1)"
if [ ! -e "$stamp" ]; then
  echo "bootstrap: installing spark_ros[$extras] into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" || {
    echo "bootstrap: pip failed, see above; with the network and some GB of disk there, run the same command again" >&2
    exit 2
  }
  touch "$stamp"
fi
