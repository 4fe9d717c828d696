"""What the peers are asked, a body of a request in a line: some operations, and for a server of models their vectors."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.endpoint.generator import request
from domain.operation import Operation
from features.history import records_of
from serving.contracts import encode

OPERATIONS, VECTORS = "operations.jsonl", "vectors.jsonl"


@dataclass(frozen=True)
class Asked:
    """Operations with the vectors that a peer is given for them: vectors (n, len(names))."""

    operations: pa.Table
    vectors: NDArray[np.float64]
    names: tuple[str, ...]

    def last(self, count: int) -> "Asked":
        """The last of them."""
        return Asked(self.operations.slice(max(0, len(self.vectors) - count)), self.vectors[-count:], self.names)

    def bodies(self) -> Iterator[bytes]:
        """Each operation as Burana takes it."""
        return (encode(operation) for _, operation in records_of(self.operations, Operation))

    def write(self, folder: Path) -> None:
        """Both files."""
        folder.mkdir(parents=True)
        (folder / OPERATIONS).write_bytes(b"\n".join(self.bodies()))
        (folder / VECTORS).write_bytes(b"\n".join(_invocation(self.names, vector.tolist()) for vector in self.vectors))


def requests(file: Path, path: str) -> Iterator[bytes]:
    """The bodies of a file as requests, again and again: a peer keeps nothing of them."""
    return cycle([request(path, body) for body in file.read_bytes().splitlines()])


def _invocation(names: tuple[str, ...], vector: list[float]) -> bytes:
    """One row as MLflow's documentation sends it; a missing value is null."""
    values = [None if value != value else value for value in vector]  # noqa: PLR0124 NaN alone is not itself
    return json.dumps({"dataframe_split": {"columns": list(names), "data": [values]}}).encode()
