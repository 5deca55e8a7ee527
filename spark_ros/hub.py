"""What a refusal of the model hub means, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spark_ros.contracts import SparkError


@contextmanager
def one_sentence(what: str) -> Iterator[None]:
    """Turns whatever the hub's client raises into a sentence that begins with `what`.

    Raises:
        SparkError: The hub refused, or could not be reached.
    """
    try:
        yield
    except SparkError:
        raise
    except Exception as error:  # the hub client raises a dozen kinds, all of which mean the same to a person
        reason = " ".join(str(error).split())[:200]
        raise SparkError(
            f"{what} ({type(error).__name__}: {reason}): check the name, your login (`hf auth login`) and the "
            "connection"
        ) from error
