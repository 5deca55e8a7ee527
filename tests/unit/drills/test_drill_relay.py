"""Swapped messages are swapped moment by moment, whatever the stream."""

from __future__ import annotations

import pytest

from benchmarks.drills.relay import Relay


def swapping() -> Relay:
    relay = Relay.__new__(Relay)  # no node: it is asked for no topic
    relay._heed("swap")
    return relay


@pytest.mark.parametrize("first", [0, 1])
def test_two_cameras_that_are_swapped_still_show_the_same_moments_in_time(first: int) -> None:
    relay = swapping()
    sent: list[list[int]] = [[], []]
    receivers = [relay._receiver(lambda message, log=log: log.append(message[4])) for log in sent]
    if first:  # one of them was heard when the word came, and begins a moment later
        receivers[0](frame(9))
    for number in range(10, 16):
        for receive in receivers:
            receive(frame(number))
    timely = [{number for place, number in enumerate(log) if number == max(log[: place + 1])} for log in sent]
    assert len(timely[0] & timely[1]) >= 3, sent


def frame(number: int) -> bytes:
    return bytes(4) + bytes([number]) + bytes(7) + b"pixels"
