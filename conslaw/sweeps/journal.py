"""The store of a sweep: a journal of JSON lines, to which rows are only appended.

The first line says what is swept; each further one is a row, and begins with the number of its case and its
status, so that a million are looked through without being parsed.  Why lines and not SQLite: what a kill or a
power cut can leave is one broken line at the end, any tool reads the rest, and no row is ever moved.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from numbers import Integral
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from conslaw.display import stamp
from conslaw.errors import ConslawError
from conslaw.version import __version__

VERSION = 1
SYNCED_EVERY = 1.0  # seconds: what a power cut may cost; it is computed again
TEXT_FROM = 2**63  # integers that are text, since tables have no room for them
OK, TIMEOUT, MEMORY, ERROR, KILLED = STATUSES = ("ok", "timeout", "memory", "error", "killed")
ROW = re.compile(rb'\{"case": ([0-9]{1,12}), "status": "(%s)"' % "|".join(STATUSES).encode())
LONGEST = 100_000_000  # bytes of the first line
FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Index:
    """Where the rows stand.

    Attributes
    ----------
    starts, lengths : for each case, of its line in bytes; -1 where there is none yet
    statuses : how many rows there are of each
    broken : the lines that are none: where they start, and how long they are
    """

    starts: array[int]
    lengths: array[int]
    statuses: Counter[str]
    broken: list[tuple[int, int]]


def head(asked: Mapping[str, Any], cases: int) -> dict[str, Any]:
    """The first line: what is swept, and how many cases that makes."""
    return {**stamp("sweep", VERSION), "cases": cases, "asked": json.loads(json.dumps(asked))}


def read_head(path: Path) -> dict[str, Any]:
    """The first line of a journal, refused if it is none, or of another version."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST)
    except OSError as error:
        raise _failed(path, error) from None
    return _parsed_head(line, path)


def _failed(path: Path, error: OSError) -> ConslawError:
    return ConslawError(f"sweep {str(path)!r}: {error.strerror or error}")


def _parsed_head(line: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(line)
        good = found["format"] == "conslaw sweep"
    except (ValueError, TypeError, KeyError):
        good = False
    if not good or not line.endswith(b"\n"):
        raise ConslawError(f"sweep {str(path)!r}: is no journal of a sweep; give another name")
    if (found["version"], found["made_by"]) != (VERSION, f"conslaw {__version__}"):
        raise ConslawError(
            f"sweep {str(path)!r}: begun by {found['made_by']}, format {found['version']}, and this is "
            f"conslaw {__version__}, format {VERSION}: install that to go on, or give another name"
        )
    return dict(found)


def index(path: Path, cases: int) -> Index:
    """Look through the rows of a journal: two seconds for a million."""
    with path.open("rb", buffering=1 << 20) as file:
        file.readline()
        return _index(file, cases)


def _index(file: IO[bytes], cases: int) -> Index:
    """The same in an open file, from its second line on."""
    starts, lengths = array("q", [-1]) * cases, array("q", [0]) * cases
    statuses, broken, place = Counter[str](), list[tuple[int, int]](), file.tell()
    match, marks = ROW.match, dict.fromkeys((one.encode() for one in STATUSES), 0)
    for line in file:
        found = match(line)
        number = int(found[1]) if found and line.endswith(b"}\n") and b"\0" not in line else cases
        if found and number < cases and starts[number] < 0:
            starts[number], lengths[number] = place, len(line)
            marks[found[2]] += 1
        else:
            broken.append((place, len(line)))
        place += len(line)
    statuses.update({name.decode(): count for name, count in marks.items() if count})
    return Index(starts, lengths, statuses, broken)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal in the order of their cases, as they are now; it may be written to."""
    with path.open("rb") as file:
        found = _index(file, _parsed_head(file.readline(LONGEST), path)["cases"])
        for start, length in zip(found.starts, found.lengths, strict=True):
            if start >= 0:
                file.seek(start)
                yield json.loads(file.read(length))


class Journal:
    """A journal that is open for writing, locked against all others; close it at the end.

    Parameters
    ----------
    path : file, made if it is not there
    header : as of :func:`head`; it must be that of the file, if there is one

    Attributes
    ----------
    finished : for each case whether it has a row
    statuses : how many rows there are of each status
    aside : how many broken lines were put aside, into the file ``path + ".broken"``
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path, self._header = path, header
        self._file = _locked(path)
        try:
            self._begin()
            found = index(path, header["cases"])
            self.aside = len(found.broken)
            if found.broken:
                self._put_aside(found.broken)
        except BaseException:
            self.close()
            raise
        self.finished = bytearray(start >= 0 for start in found.starts)
        self.statuses = found.statuses
        self._end, self._synced = os.fstat(self._file).st_size, time.monotonic()

    def _begin(self) -> None:
        """Write the first line of a new journal; check that of an old one."""
        first = json.dumps(self._header).encode() + b"\n"
        with self.path.open("rb") as file:
            line = file.readline(LONGEST)
        if not line.endswith(b"\n") and (first.startswith(line) or not line.strip(b"\0")):  # killed at once
            os.ftruncate(self._file, 0)
            self._end = 0
            self._write(first)
            os.fsync(self._file)
            _sync_folder(self.path)
            return
        found = _parsed_head(line, self.path)
        different = [
            name
            for name in {**found["asked"], **self._header["asked"]}
            if found["asked"].get(name) != self._header["asked"].get(name)
        ]
        if different or found["cases"] != self._header["cases"]:
            raise ConslawError(
                f"sweep {str(self.path)!r}: is of another sweep ({', '.join(different) or 'cases'} differ); "
                f"give another name, or go on with: conslaw sweep --resume {self.path.name}"
            )

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row: it has come to stay when this returns, but for a power cut within a second."""
        assert not self.finished[row["case"]], "a case is finished once"
        data = json.dumps(row).encode() + b"\n"
        self._write(data)
        self.finished[row["case"]] = True
        self.statuses[row["status"]] += 1
        if time.monotonic() - self._synced > SYNCED_EVERY:
            self._sync()

    def _write(self, data: bytes) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise ConslawError(
                f"sweep {str(self.path)!r}: a row could not be written ({error.strerror}); all before it are "
                f"kept: make room, then conslaw sweep --resume {self.path.name}"
            ) from None
        self._end += len(data)

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _failed(self.path, error) from None
        self._synced = time.monotonic()

    def forget(self, statuses: Iterable[str]) -> None:
        """Drop the rows of some statuses, so that their cases are tried again."""
        dropped = {name.encode() for name in statuses}

        def is_kept(_: int, line: bytes) -> bool:
            found = ROW.match(line)
            return not found or found[2] not in dropped

        self._rewrite(is_kept)
        found = index(self.path, self._header["cases"])
        self.finished, self.statuses = bytearray(start >= 0 for start in found.starts), found.statuses

    def _put_aside(self, broken: list[tuple[int, int]]) -> None:
        """Move broken lines into a file of their own."""
        beside = self.path.with_name(f"{self.path.name}.broken")
        try:
            with self.path.open("rb") as file, beside.open("ab") as other:
                for start, length in broken:
                    file.seek(start)
                    other.write(file.read(length).rstrip(b"\n") + b"\n")
        except OSError as error:
            raise _failed(beside, error) from None
        starts = {start for start, _ in broken}
        self._rewrite(lambda place, _: place not in starts)

    def _rewrite(self, is_kept: Callable[[int, bytes], bool]) -> None:
        """Write some of the lines anew beside the journal, then move that to its place, locked."""
        mode, place = os.fstat(self._file).st_mode & 0o777, 0
        try:
            with NamedTemporaryFile(dir=self.path.parent, prefix=unfinished(self.path), delete=False) as new:
                try:
                    with self.path.open("rb") as old:
                        for line in old:
                            if is_kept(place, line):
                                new.write(line)
                            place += len(line)
                    new.flush()
                    os.fsync(new.fileno())
                    Path(new.name).chmod(mode)
                    descriptor = os.open(new.name, FLAGS)
                    _lock(descriptor)
                    Path(new.name).replace(self.path)
                except BaseException:
                    with suppress(OSError):
                        Path(new.name).unlink()
                    raise
        except OSError as error:
            raise _failed(self.path, error) from None
        os.close(self._file)
        self._file, self._end = descriptor, os.fstat(descriptor).st_size
        _sync_folder(self.path)

    def close(self) -> None:
        """Write out and unlock."""
        if self._file >= 0:
            with suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = -1


def unfinished(path: Path) -> str:
    """What the names of files begin with that are written beside a place, to be moved there."""
    return f".{path.name[:100]}.conslaw-"


def clear(path: Path) -> None:
    """Remove what a run that was killed left beside a place; for who holds the lock."""
    for left in [one for one in path.parent.iterdir() if one.name.startswith(unfinished(path))]:
        with suppress(OSError):
            left.unlink()


def _locked(path: Path) -> int:
    """A descriptor of the file, made if there is none, that nobody else has locked."""
    for _ in range(100):
        try:
            descriptor = os.open(path, FLAGS | os.O_CREAT, 0o666)
        except OSError as error:
            raise _failed(path, error) from None
        try:
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise ConslawError(
                f"sweep {str(path)!r}: another sweep is writing to it; wait for its end, or give another name"
            ) from None
        except FileNotFoundError:
            pass
        except OSError as error:  # of a file system without locks
            os.close(descriptor)
            raise ConslawError(f"sweep {str(path)!r}: cannot be locked ({error.strerror})") from None
        os.close(descriptor)  # it has been replaced meanwhile
    raise ConslawError(f"sweep {str(path)!r}: cannot be locked")


def _lock(descriptor: int) -> None:
    """Lock a file until its descriptor is closed, at the latest by the end of the process."""
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(descriptor, 2**40, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(path: Path) -> None:
    """Let the name of a file outlast a power cut, where folders can be synchronised."""
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def plain(value: Any) -> Any:
    """What a cell of a table has room for; the rest, large integers too, as text."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value) if abs(int(value)) < TEXT_FROM else str(int(value))
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
