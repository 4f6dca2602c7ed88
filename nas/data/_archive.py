"""One view of a folder or a zip file: relative paths, and the bytes behind each of them."""

from __future__ import annotations

import hashlib
import os
import stat as modes
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from searchspace.support.errors import UserError

# What `zipfile` raises for damage, for encrypted files (RuntimeError) and for compression it does not know.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError)
# Folders and files that systems and tools leave behind; whatever begins with a dot is left out as well.
SYSTEM_NAMES = frozenset(
    {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini"}
)
# No picture or list of labels comes near; larger ones are refused before a byte of them is unpacked.
MAX_FILE_BYTES = 256 * 2**20
# The same real folder met this often is a tangle of links, not a data set.
_MAX_VISITS = 64
_ENCRYPTED = 0x1


class Archive:
    """The files below a folder or inside a zip file, by relative path with forward slashes.

    Links to folders are followed, except those that lead back to a folder they lie in. Hidden files and what systems
    leave behind are left out and counted in `hidden`; links that lead nowhere in `broken`. Raises UserError when the
    path does not exist, is neither a folder nor a zip file, or cannot be read. One object may be used from several
    threads and, once forked or pickled, from several processes.
    """

    def __init__(self, location: str | Path) -> None:
        try:
            self.path = Path(location).expanduser()
            exists, self._is_folder = self.path.exists(), self.path.is_dir()
        except (ValueError, RuntimeError, OSError) as error:
            raise UserError(f"'{shown(str(location))}' is no path: {error}") from None
        if not exists:
            raise UserError(f"no such folder or zip file: {self.path}")
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        # Size in bytes and time of change of every file; a zip file changes as a whole, so its files have time 0.
        self._stamps: dict[str, tuple[int, int]] = {}
        self.folders: tuple[str, ...] = ()
        self.hidden = self.broken = 0
        if self._is_folder:
            self._list_folder()
        else:
            self._list_zip()

    @property
    def paths(self) -> list[str]:
        """Relative paths of all files, sorted."""
        return sorted(self._stamps)

    def check_sizes(self, paths: list[str]) -> None:
        """Refuse files that are too large to be read as a whole, from the folder's or the zip file's directory."""
        for path in paths:
            size = self._stamps[path][0]
            if size > MAX_FILE_BYTES:
                raise UserError(
                    f"{self.path}: '{shown(path)}' has {size / 2**20:,.0f} MiB (unpacked), expected at most "
                    f"{MAX_FILE_BYTES // 2**20} MiB for one file; remove or shrink it"
                )

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; raises UserError for a damaged or encrypted zip file."""
        if self._is_folder:
            return (self.path / path).read_bytes()
        try:
            return self._open_zip().read(path)
        except _ZIP_DAMAGE as error:
            raise UserError(
                f"{self.path}: cannot unpack '{shown(path)}' ({shown(str(error))}); the zip file is damaged"
            ) from None

    def read_text(self, path: str) -> str:
        """Return the text of one file; raises UserError when it is not UTF-8."""
        self.check_sizes([path])
        try:
            return self.read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}/{shown(path)}: byte {error.start} is not UTF-8 text") from None

    def fingerprint(self) -> str:
        """Return a hash that changes when a file is added, removed, or changes its size or time."""
        digest = hashlib.sha256(os.fsencode(self.path.resolve()))
        stat = self.path.stat()
        digest.update(f"{stat.st_mtime_ns} {stat.st_size}".encode())
        for path in self.paths:
            digest.update(f"\n{path} {self._stamps[path]}".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zip": None}

    def _list_folder(self) -> None:
        folders: list[str] = []
        visits: Counter[tuple[int, int]] = Counter()
        pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
        while pending:
            place, above = pending.pop()
            stat = os.stat(self.path / place)
            identity = (stat.st_dev, stat.st_ino)
            if identity in above:
                continue
            visits[identity] += 1
            if visits[identity] > _MAX_VISITS:
                raise UserError(f"{self.path}: links lead to the folder '{shown(place)}' again and again; remove them")
            if place:
                folders.append(place)
            for name in os.listdir(self.path / place):
                path = f"{place}/{name}" if place else name
                if is_hidden(name):
                    self.hidden += 1
                elif (found := _stat(self.path / path)) is None:
                    self.broken += 1
                elif modes.S_ISDIR(found.st_mode):
                    pending.append((path, above | {identity}))
                elif modes.S_ISREG(found.st_mode):
                    self._stamps[path] = (found.st_size, found.st_mtime_ns)
        self.folders = tuple(sorted(folders))

    def _list_zip(self) -> None:
        try:
            if not zipfile.is_zipfile(self.path):
                raise UserError(f"{self.path} is neither a folder nor a zip file")
            entries = self._open_zip().infolist()
        except _ZIP_DAMAGE as error:
            raise UserError(f"{self.path} is a damaged zip file: {shown(str(error))}") from None
        folders: set[str] = set()
        for entry in entries:
            self._check_entry(entry)
            pieces = entry.filename.rstrip("/").split("/")
            if any(map(is_hidden, pieces)):
                self.hidden += not entry.is_dir()
                continue
            folders |= {"/".join(pieces[:depth]) for depth in range(1, len(pieces) + entry.is_dir())}
            if not entry.is_dir():
                self._stamps[entry.filename] = (entry.file_size, 0)
        self.folders = tuple(sorted(folders))

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name = entry.filename
        if not name.strip("/"):
            raise UserError(f"{self.path} is a damaged zip file: an entry has no name")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(f"{self.path}: the entry '{shown(name)}' points outside the zip file")
        if name in self._stamps:
            raise UserError(f"{self.path}: it holds '{shown(name)}' twice; keep one of them")
        if entry.flag_bits & _ENCRYPTED:
            raise UserError(f"{self.path}: '{shown(name)}' is encrypted; unpack it with its password first")

    def _open_zip(self) -> zipfile.ZipFile:
        # A handle shared across a fork would share its file position, so every process opens its own.
        if self._zip is None or self._zip[0] != os.getpid():
            self._zip = (os.getpid(), zipfile.ZipFile(self.path))
        return self._zip[1]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is left out: hidden, or left behind by a system or a tool."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def shown(text: str, longest: int = 60) -> str:
    """Return a text from a file or a file system fit for a message: printable, and cut in its middle when long."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= longest else f"{plain[: longest // 2]}…{plain[-longest // 2 + 1 :]}"


def _stat(path: Path) -> os.stat_result | None:
    """Return what a path leads to, None for a link that leads nowhere."""
    try:
        return path.stat()
    except (FileNotFoundError, RuntimeError):
        return None
    except OSError as error:
        if path.is_symlink():
            return None
        raise UserError(f"cannot read {shown(str(path))}: {error.strerror}") from None
