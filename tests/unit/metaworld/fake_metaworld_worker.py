"""Stands in for the MetaWorld worker at the outermost edge, its pipes: Python's standard library alone.

Each episode counts: its proprioception is (seed, steps, sum of the actions' first numbers, 0), its picture is full of
the number of steps, it is done from step 3 on, and its expert says (seed, 0, 0, 0).
"""

import array
import json
import math
import os
import struct
import sys

KINDS = {"<i8": "q", "<f4": "f", "|u1": "B", "|b1": "B"}


def receive():
    lengths = sys.stdin.buffer.read(8)
    if len(lengths) < 8:
        sys.exit(0)
    header, body = struct.unpack(">II", lengths)
    fields, rest = json.loads(sys.stdin.buffer.read(header)), sys.stdin.buffer.read(body)
    arrays = {}
    for name, kind, shape in fields.pop("arrays"):
        values = array.array(KINDS[kind])
        size = math.prod(shape) * values.itemsize
        values.frombytes(rest[:size])
        arrays[name], rest = values, rest[size:]
    return fields, arrays


def send(fields, **arrays):
    layout = [[name, kind, shape] for name, (kind, shape, _) in arrays.items()]
    body = b"".join(array.array(KINDS[kind], values).tobytes() for kind, _, values in arrays.values())
    header = json.dumps({**fields, "arrays": layout}).encode()
    sys.stdout.buffer.write(struct.pack(">II", len(header), len(body)) + header + body)
    sys.stdout.buffer.flush()


def seen(which, draw):
    states = [episodes[index] for index in which]
    arrays = {
        "proprioception": ("<f4", [len(which), 4], [value for state in states for value in (*state, 0.0)]),
        "success": ("|b1", [len(which)], [int(steps >= 3) for _, steps, _ in states]),
    }
    if draw:
        pixels = [int(steps) for _, steps, _ in states for _ in range(size * size * 3)]
        arrays["images"] = ("|u1", [len(which), size, size, 3], pixels)
    send({}, **arrays)


trouble = sys.argv[1] if len(sys.argv) > 1 else ""
episodes, size = {}, 0
while True:
    fields, given = receive()
    do, which = fields["do"], fields.get("which", [])
    if do == "open":
        size = fields["image_size"]
        if trouble == "no graphics":
            send({"error": "ImportError: no EGL"})
        else:
            send({"leaked": sorted({"LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"} & set(os.environ))})
    elif do == "reset":
        episodes.update({index: (float(seed), 0.0, 0.0) for index, seed in zip(which, given["seeds"], strict=True)})
        seen(which, fields["draw"])
    elif do == "step":
        if trouble == "death":
            sys.exit("Segmentation fault in the simulator")
        for row, index in enumerate(which):
            seed, steps, total = episodes[index]
            episodes[index] = (seed, steps + 1.0, total + given["actions"][4 * row])
        seen(which, fields["draw"])
    elif do == "expert":
        send({}, actions=("<f4", [len(which), 4], [x for i in which for x in (episodes[i][0], 0.0, 0.0, 0.0)]))
