"""Folders and archives of dumps as one thing: nodes, each with named files that are read only when asked for.

An archive is never unpacked into files: its bytes go to one nameless temporary file (in memory while small) and are
read from there by offset, so that members may come in any order, be named anything, and lie anywhere. Only regular
files of an archive count.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from common.errors import InputError
from common.files import MAX_DUMP, open_binary

__all__ = ["Archive", "Files", "Folder"]

MAX_ARCHIVE = 64 << 30
"""Bytes of an archive, unpacked."""
_IN_MEMORY = 32 << 20
_CHUNK = 1 << 20


class Files(Protocol):
    """Folders of files, whichever way they are kept."""

    def folders(self) -> list[str]:
        """Paths of all folders down to two levels, `` being the top, sorted."""

    def names(self, folder: str) -> list[str]:
        """The files that lie in the folder, not those below it. Raises InputError."""

    def read(self, folder: str, name: str) -> bytes:
        """At most MAX_DUMP bytes of a file. Raises InputError."""

    def close(self) -> None: ...


class Folder:
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def folders(self) -> list[str]:
        found = [""]
        for name in self._scan("", folders=True):
            found.append(name)
            with suppress(InputError):  # names() says it again, where it is counted
                found += [f"{name}/{below}" for below in self._scan(name, folders=True)]
        return found

    def names(self, folder: str) -> list[str]:
        return self._scan(folder, folders=False)

    def read(self, folder: str, name: str) -> bytes:
        path = self._path / folder / name
        try:
            with path.open("rb") as file:
                return _bounded(file.read(MAX_DUMP + 1), str(path))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None

    def close(self) -> None:
        """Nothing is held open."""

    def _scan(self, folder: str, *, folders: bool) -> list[str]:
        path = self._path / folder
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if (entry.is_dir() if folders else entry.is_file()))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None


class Archive:
    """A tar archive, plain or packed."""

    def __init__(self, path: Path, progress: Callable[[float], None]) -> None:
        """`progress` is told which part of the packed file has been read, 0 to 1. Raises InputError."""
        self._path = path
        self._members: dict[str, dict[str, tuple[int, int]]] = {"": {}}
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close()
        try:
            self._copy(progress)
            self._index()
        except OSError as error:  # no room for the temporary file
            self.close()
            raise InputError(
                f"{path}: cannot unpack: {error.strerror or error} (set TMPDIR to a roomier disk)"
            ) from None
        except BaseException:
            self.close()
            raise

    def _copy(self, progress: Callable[[float], None]) -> None:
        packed = max(1, self._path.stat().st_size)
        done = 0
        with open_binary(self._path) as source:
            while chunk := source.read(_CHUNK):
                self._file.write(chunk)
                done += len(chunk)
                if done > MAX_ARCHIVE:
                    raise InputError(f"{self._path}: larger than {MAX_ARCHIVE >> 30} GiB unpacked: split it by node")
                progress(min(1.0, done / packed / 10))

    def _index(self) -> None:
        self._file.seek(0)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined] # or a fleet's worth of headers stays in memory
                    if not member.isreg() or member.issparse():
                        continue
                    parts = [part for part in member.name.split("/") if part not in {"", "."}]
                    if parts and len(parts) <= 3 and ".." not in parts:
                        folder = self._members.setdefault("/".join(parts[:-1]), {})
                        folder[parts[-1]] = (member.offset_data, member.size)
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise InputError(f"{self._path}: no readable tar archive: {error}") from None

    def folders(self) -> list[str]:
        return sorted(self._members)

    def names(self, folder: str) -> list[str]:
        return sorted(self._members.get(folder, ()))

    def read(self, folder: str, name: str) -> bytes:
        offset, size = self._members[folder][name]
        self._file.seek(offset)
        data = self._file.read(min(size, MAX_DUMP + 1))
        if len(data) < min(size, MAX_DUMP + 1):
            raise InputError(f"{self._path}: {name}: the archive is cut off")
        return _bounded(data, name)

    def close(self) -> None:
        self._file.close()


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_DUMP:
        raise InputError(f"{name}: larger than {MAX_DUMP >> 20} MiB: this is no file of /proc")
    return data
