"""Tables of sweeps: a pandas frame, Parquet, CSV, and the pair of files that was published."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from conslaw.errors import ConslawError
from conslaw.sweeps.journal import OK, TIMEOUT, read_head, rows, unfinished

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 2_000  # rows that are held at a time: 150 MB with Parquet, 220 for 10,000
ENDINGS = (".parquet", ".csv", ".jsonl")
TEXT = ("widths", "damping", "lie_ranks", "primes")  # what might be taken for numbers
PUBLISHED = {  # columns of the published tables of dimensions, and ours
    "d": "widths",
    "r": "power",
    "ambient_dim": "ambient_dimension",
    "expected_dim": "expected_dimension",
    "dimension": "dimension",
    "defect": "defect",
    "time": "seconds",
}


def journal_of(out: str | Path) -> Path:
    """The journal of a table: beside it, or the table itself if that is JSON lines."""
    if not isinstance(out, str | Path):
        raise ConslawError(f"out={str(out)[:60]!r}: give the name of a file, such as results.csv")
    path = Path(out)
    if path.name.endswith(".journal"):
        return path
    if path.suffix not in ENDINGS:
        raise ConslawError(f"out={str(out)!r}: end it in .parquet, .csv or .jsonl")
    return path if path.suffix == ".jsonl" else path.with_name(f"{path.name}.journal")


def check_out(out: str | Path) -> Path:
    """Where a table is to be written; refused if it could not be, or something else stands there."""
    journal, path = journal_of(out), Path(out)
    if journal == path and path.suffix != ".jsonl":
        raise ConslawError(f"out={str(out)!r}: is a journal; give the table that it belongs to")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ConslawError(
            f"out={str(out)!r}: Parquet needs pip install 'conslaw[sweeps]'; or give a .csv file"
        )
    if path.exists() and not journal.exists():
        raise ConslawError(f"out={str(out)!r}: stands there, and {journal.name} does not; give another name")
    if not path.parent.is_dir():
        raise ConslawError(f"out={str(out)!r}: there is no folder {str(path.parent)!r}")
    return path


def read(path: str | Path) -> pd.DataFrame:
    """The table of a sweep, a row for each case that is finished, in the order of the cases.

    Parameters
    ----------
    path : the table (``results.parquet``, ``.csv``, ``.jsonl``), also while its sweep is running

    Returns
    -------
    pandas.DataFrame
        Integers that may be missing are of type ``Int64``, those that are too large for that Python's own.

    Raises
    ------
    ConslawError
        If there is no such sweep, the file is no table, or pandas is missing.
    """
    pd, journal = import_pandas(), journal_of(path)
    if journal.exists():
        return frame(rows(journal))
    if not Path(path).exists():
        raise ConslawError(f"sweep {str(path)!r}: there is neither such a file nor {journal.name}")
    try:
        if journal.name.endswith(".parquet.journal"):
            return pd.read_parquet(path).convert_dtypes()
        return pd.read_csv(path, dtype=dict.fromkeys(TEXT, "string")).convert_dtypes()
    except (ImportError, OSError, ValueError) as error:
        raise ConslawError(f"sweep {str(path)!r}: cannot be read as a table ({error})") from None


def import_pandas() -> Any:
    """Pandas, or a line that says how to get it."""
    try:
        import pandas as pd
    except ImportError:
        raise ConslawError("tables are pandas frames: pip install 'conslaw[sweeps]'") from None
    return pd


def frame(found: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a pandas frame."""
    pd = import_pandas()
    listed = list(found)
    names = list(dict.fromkeys(name for row in listed for name in row))
    columns = {name: _column(pd, [row.get(name) for row in listed]) for name in names}
    return pd.DataFrame(columns)


def _column(pd: Any, values: list[Any]) -> Any:
    """A column of the type that holds all of its values exactly."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, str} and all(is_large(value) for value in values if isinstance(value, str)):
        return pd.Series([None if value is None else int(value) for value in values], dtype=object)
    types = {(bool,): "boolean", (int,): "Int64", (float,): "Float64", (float, int): "Float64"}
    kind = types.get(tuple(sorted(kinds, key=lambda one: one.__name__)), object)
    return pd.Series(values, dtype=kind)


def is_large(text: str) -> bool:
    """Whether a text is an integer that was too large for a table."""
    return len(text) > 18 and text.removeprefix("-").isdecimal()


def write(journal: Path, out: Path) -> None:
    """Write the table of a journal, a part at a time, beside its place, then move it there."""
    if out == journal:
        return
    names = _columns(journal)
    with _beside(out) as file:
        if out.suffix == ".csv":
            _write_csv(file, list(names), rows(journal))
        else:
            _write_parquet(file, names, rows(journal))


def _columns(journal: Path) -> dict[str, set[type]]:
    """The columns of a journal, with the types of their values."""
    names: dict[str, set[type]] = {}
    for row in rows(journal):
        for name, value in row.items():
            kinds = names.setdefault(name, set())
            if value is not None:
                kinds.add(type(value))
    return names


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes this place when it is whole; nothing is left of it if it is not."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=unfinished(path), delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                Path(file.name).chmod(0o666 & ~umask)
                Path(file.name).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise
    except OSError as error:
        raise ConslawError(
            f"out={str(path)!r}: not written ({error.strerror or error}); the rows are kept in its "
            f"journal: make room, then conslaw sweep --resume {path.name}"
        ) from None


def _write_csv(file: IO[bytes], names: list[str], found: Iterable[Mapping[str, Any]]) -> None:
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in found)
    text.detach()


def _write_parquet(
    file: IO[bytes], names: Mapping[str, set[type]], found: Iterator[Mapping[str, Any]]
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {frozenset([bool]): pa.bool_(), frozenset([int]): pa.int64(), frozenset([float]): pa.float64()}
    kinds[frozenset([int, float])] = pa.float64()
    schema = pa.schema([(name, kinds.get(frozenset(types), pa.string())) for name, types in names.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        while part := list(islice(found, CHUNK)):
            columns = {}
            for name, kind in zip(schema.names, schema.types, strict=True):
                values = [row.get(name) for row in part]
                if kind == pa.string():
                    values = [None if value is None else str(value) for value in values]
                columns[name] = values
            writer.write_table(pa.table(columns, schema=schema))


def write_pair(path: str | Path) -> tuple[Path, Path]:
    """Write a pair of CSV files beside a table: the cases that were answered, and the others.

    Dimensions have the columns of the published tables (d, r, ambient_dim, expected_dim, dimension, defect,
    time; d, r, time of what was not answered); other questions those of the table.
    """
    journal, stem = journal_of(path), Path(path).with_suffix("")
    published = read_head(journal)["asked"].get("ask") == "dimension"
    results, timeouts = (stem.with_name(f"{stem.name}_{name}.csv") for name in ("results", "timeouts"))
    names = list(PUBLISHED) if published else list(_columns(journal))
    short = ["d", "r", "time"] if published else names
    row_of: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _published if published else lambda row: row
    for file, columns, wanted in ((results, names, True), (timeouts, short, False)):
        with _beside(file) as open_file:
            chosen = (row_of(row) for row in rows(journal) if (row["status"] == OK) == wanted)
            _write_csv(open_file, columns, chosen)
    return results, timeouts


def _published(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row.get(ours) for name, ours in PUBLISHED.items()}
    time = row["timeout"] if row["status"] == TIMEOUT else values["time"]
    widths = [int(d) for d in row["widths"].split("-")]
    return {**values, "d": str(widths), "time": time}
