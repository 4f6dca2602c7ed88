"""One view of a folder or a zip file: relative paths, and the bytes behind each of them."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from searchspace.support.errors import UserError

# What `zipfile` raises for damage, for encrypted files (RuntimeError) and for compression it does not know.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


class Archive:
    """The files below a folder or inside a zip file, by relative path with forward slashes.

    Raises UserError when the path does not exist, is neither a folder nor a zip file, or cannot be read. One
    object may be used from several threads and, once forked or pickled, from several processes.
    """

    def __init__(self, location: str | Path) -> None:
        self.path = Path(location).expanduser()
        if not self.path.exists():
            raise UserError(f"no such folder or zip file: {self.path}")
        self._is_folder = self.path.is_dir()
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        # Size in bytes and time of change of every file; a zip file changes as a whole, so its files have time 0.
        self._stamps: dict[str, tuple[int, int]] = {}
        self.empty_folders: tuple[str, ...] = ()
        if self._is_folder:
            self._list_folder()
        else:
            self._list_zip()

    @property
    def paths(self) -> list[str]:
        """Relative paths of all files, sorted."""
        return sorted(self._stamps)

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; raises UserError for a damaged or encrypted zip file."""
        if self._is_folder:
            return (self.path / path).read_bytes()
        try:
            return self._open_zip().read(path)
        except _ZIP_DAMAGE as error:
            raise UserError(f"{self.path}: cannot unpack '{path}' ({error}); the zip file is damaged") from None

    def read_text(self, path: str) -> str:
        """Return the text of one file; raises UserError when it is not UTF-8."""
        try:
            return self.read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}/{path}: byte {error.start} is not UTF-8 text") from None

    def fingerprint(self) -> str:
        """Return a hash that changes when a file is added, removed, or changes its size or time."""
        digest = hashlib.sha256(str(self.path.resolve()).encode())
        stat = self.path.stat()
        digest.update(f"{stat.st_mtime_ns} {stat.st_size}".encode())
        for path in self.paths:
            digest.update(f"\n{path} {self._stamps[path]}".encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zip": None}

    def _list_folder(self) -> None:
        empty = []
        for folder, folders, files in os.walk(self.path):
            relative = PurePosixPath(Path(folder).relative_to(self.path).as_posix())
            for name in files:
                stat = os.stat(os.path.join(folder, name))
                self._stamps[str(relative / name)] = (stat.st_size, stat.st_mtime_ns)
            if not files and not folders:
                empty.append(str(relative))
        self.empty_folders = tuple(sorted(empty))

    def _list_zip(self) -> None:
        if not zipfile.is_zipfile(self.path):
            raise UserError(f"{self.path} is neither a folder nor a zip file")
        try:
            entries = self._open_zip().infolist()
        except _ZIP_DAMAGE as error:
            raise UserError(f"{self.path} is a damaged zip file: {error}") from None
        self._stamps = {entry.filename: (entry.file_size, 0) for entry in entries if not entry.is_dir()}
        parents = {str(parent) for path in self._stamps for parent in PurePosixPath(path).parents}
        folders = {entry.filename.rstrip("/") for entry in entries if entry.is_dir()}
        self.empty_folders = tuple(sorted(folders - parents))

    def _open_zip(self) -> zipfile.ZipFile:
        # A handle shared across a fork would share its file position, so every process opens its own.
        if self._zip is None or self._zip[0] != os.getpid():
            self._zip = (os.getpid(), zipfile.ZipFile(self.path))
        return self._zip[1]
