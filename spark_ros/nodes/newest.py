"""One slot per key between a fast producer and a slow consumer: only the newest item is worth having."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Newest(Generic[Item]):
    """Holds the newest item of each key until it is taken.

    Attributes:
        dropped: Items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._items: dict[str, Item] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, key: str, item: Item) -> None:
        """Replace the key's item; never waits."""
        with self._changed:
            self.dropped += key in self._items
            self._items[key] = item
            self._changed.notify()

    def take(self) -> tuple[str, Item] | None:
        """Wait for an item; of several keys the one that has waited longest. None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            return None if self._closed else self._oldest()

    def taken(self) -> tuple[str, Item] | None:
        """As `take`, but None where there is nothing."""
        with self._changed:
            return self._oldest() if self._items else None

    def close(self) -> None:
        """Let `take` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _oldest(self) -> tuple[str, Item]:
        key = next(iter(self._items))
        return key, self._items.pop(key)
