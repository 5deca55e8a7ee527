"""The parquet and JSON files of a LeRobotDataset v3.0, as LeRobot's loader wants to find them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

CHUNK_FILES = 1000  # files in a folder, LeRobot's own number
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
TASKS_PATH = "meta/tasks.parquet"

Column = NDArray[Any] | list[dict[str, Any]]
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


class RowTables:
    """The tables of rows: many episodes in a file, each episode whole in one of them.

    Args:
        folder: The dataset's.
        file_bytes: A file with this much in it is full; the next episode begins a new one.
    """

    def __init__(self, folder: Path, file_bytes: int) -> None:
        self._folder, self._limit = folder, file_bytes
        self._writer: pq.ParquetWriter | None = None
        self._index, self._bytes = -1, 0

    def add(self, columns: Mapping[str, Column]) -> tuple[int, int]:
        """Append an episode.

        Args:
            columns: In order: (T, n) numbers, or T images as ``{"bytes": encoded file, "path": name}``.

        Returns:
            Where it lies: numbers of the folder and of the file in it.

        Raises:
            OSError: The disk is full.
        """
        table = pa.table({name: _array(values) for name, values in columns.items()})
        if self._bytes >= self._limit:
            self.close()
        if self._writer is None:
            self._index, self._bytes = self._index + 1, 0
        chunk, file = divmod(self._index, CHUNK_FILES)
        if self._writer is None:
            path = self._folder / DATA_PATH.format(chunk_index=chunk, file_index=file)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema)
        self._writer.write_table(table)
        self._bytes += table.nbytes
        return chunk, file

    def close(self) -> None:
        """Finish the file at hand; until then nobody can read it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def write_episodes(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the description of every episode; all rows have the same columns."""
    types = {"success": pa.bool_(), "seed": pa.int64()}  # all of them may be unknown, and a column needs a type
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    path = folder / EPISODES_PATH.format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def write_tasks(folder: Path, tasks: Sequence[str]) -> None:
    """Write the tasks as pandas writes a table whose index is ``task``, which is what LeRobot reads."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}
        for name, kind, stored in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.2.0"}
    path = folder / TASKS_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(described)}), path)


def write_json(path: Path, values: object) -> None:
    """Write a file of meta/."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def _array(values: Column) -> pa.Array:
    if isinstance(values, list):
        return pa.array(values, _IMAGE)
    numbers = pa.array(values.reshape(-1))
    return numbers if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(numbers, values.shape[1])
