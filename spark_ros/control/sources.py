"""One source for each kind of input: of two operators, or two policies, neither may be obeyed.

Each publisher numbers its messages. The numbers of one grow, whatever is lost on the way; where a second one speaks
too, they fall back at the third message at the latest.
"""

from __future__ import annotations


class OneSource:
    """Who is heard from the engaging of a mode on."""

    def __init__(self, who: str) -> None:
        """`who` sends these messages, for the sentence: "policy", "operator"."""
        self._who = who
        self._last: dict[str, tuple[str, int]] = {}

    def begin(self) -> None:
        """Whoever speaks from now on may be somebody else than before."""
        self._last = {}

    def heard(self, stream: str, topic: str, number: int | None) -> str | None:
        """Takes note of a message.

        Args:
            stream: What comes from one publisher.
            topic: Where it came from.
            number: Its publisher's number for it; None where the middleware has none.

        Returns:
            That a second source speaks, and what to do; None while there is one.
        """
        known = self._last.get(stream)
        self._last[stream] = (topic, -1 if number is None else number)
        if known is None:
            return None
        before, last = known
        if before != topic:
            return f"one {self._who} speaks on {before} and another on {topic}: stop one of them, then engage again"
        if number is not None and number <= last:
            return f"more than one {self._who} publishes {topic}: stop all but one, then engage again"
        return None
