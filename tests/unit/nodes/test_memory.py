"""What an image leaves behind is used by the next one."""

from __future__ import annotations

import subprocess
import sys

# Faults of pages while one large block after the other is filled, before and after.
PROGRAM = """
import resource
from spark_ros.nodes.memory import give_back_freed_memory, keep_memory_of_images

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fill(times):
    before = faults()
    for _ in range(times):
        first, second = bytearray(b"x" * 900_000), bytearray(b"y" * 2_700_000)
        del first, second
    return faults() - before

usual = fill(20)
keep_memory_of_images()
fill(2)
kept = fill(20)
give_back_freed_memory()
print(usual, kept)
"""


def test_large_blocks_find_their_pages_again() -> None:
    usual, kept = map(int, subprocess.check_output([sys.executable, "-c", PROGRAM], text=True).split())
    assert usual > 20 * 200
    assert kept < 20
