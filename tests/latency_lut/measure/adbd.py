"""A small adb device daemon for tests: speaks adb's wire protocol over TCP to the real adb client and server.

Commands run on this machine. Paths under /data/local/tmp and /sys are moved below a temporary root, which stands for
the phone's file system; `getprop` is a script there. Faults can be switched on to see how they are reported.

Protocol: packages/modules/adb/protocol.txt and SYNC.TXT of the Android Open Source Project.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import stat
import struct
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = struct.Struct("<4sIIII4s")
_VERSION, _MAX_DATA = 0x01000001, 256 * 1024
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_MOVED = ("/data/local/tmp", "/sys/")


@dataclass
class Faults:
    """What goes wrong: all off at first, switched on by tests."""

    unauthorized: bool = False  # never accepts the host's key
    silent: bool = False  # accepts the connection and says nothing
    storage_full: bool = False
    disconnect_after_bytes: int | None = None  # of pushed data; the cable stays out
    received_bytes: int = field(default=0, init=False)


class Daemon:
    """The phone: listens on 127.0.0.1:`port`."""

    def __init__(self, root: Path, faults: Faults | None = None) -> None:
        self.root, self.faults = root, faults or Faults()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[_Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Pull the cable for good."""
        self._listener.close()
        self.disconnect()

    def disconnect(self) -> None:
        """Pull the cable; the host may connect again."""
        for connection in self._connections:
            connection.close()

    def moved(self, text: str) -> str:
        """Return a command or path with the phone's folders below the temporary root."""
        for prefix in _MOVED:
            text = text.replace(prefix, f"{self.root}{prefix}")
        return text

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            connection = _Connection(self, client)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()


class _Connection:
    """One host: reads packets and hands them to the streams."""

    def __init__(self, daemon: Daemon, client: socket.socket) -> None:
        self.daemon, self._socket = daemon, client
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        magic = bytes(byte ^ 0xFF for byte in command)
        header = _HEADER.pack(command, first, second, len(data), sum(data) & 0xFFFFFFFF, magic)
        with self._lock:
            self._socket.sendall(header + data)

    def serve(self) -> None:
        try:
            while True:
                command, first, second, length, _, _ = _HEADER.unpack(self._exactly(_HEADER.size))
                self._handle(command, first, second, self._exactly(length))
        except (OSError, EOFError):
            self.close()
            for stream in self._streams.values():
                stream.incoming.put(None)

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _handle(self, command: bytes, first: int, second: int, data: bytes) -> None:
        faults = self.daemon.faults
        if faults.silent:
            return
        if command == b"CNXN" or command == b"AUTH":
            if faults.unauthorized:
                self.send(b"AUTH", 1, 0, os.urandom(20))
            else:
                self.send(b"CNXN", _VERSION, _MAX_DATA, b"device::ro.product.model=Test Phone;features=shell_v2,cmd")
        elif command == b"OPEN":
            stream = _Stream(self, local=len(self._streams) + 1, remote=first)
            self._streams[stream.local] = stream
            self.send(b"OKAY", stream.local, first)
            service = data.rstrip(b"\0").decode()
            threading.Thread(target=stream.run, args=(service,), daemon=True).start()
        elif second in self._streams:
            stream = self._streams[second]
            if command == b"WRTE":
                self.send(b"OKAY", second, first)
                stream.incoming.put(data)
            elif command == b"OKAY":
                stream.acknowledged.release()
            elif command == b"CLSE":
                stream.incoming.put(None)


class _Stream:
    """One service in use: a shell command or the transfer of files."""

    def __init__(self, connection: _Connection, local: int, remote: int) -> None:
        self.local, self._remote, self._connection = local, remote, connection
        self._daemon = connection.daemon
        self.incoming: queue.Queue[bytes | None] = queue.Queue()
        self.acknowledged = threading.Semaphore(0)
        self._buffer = bytearray()

    def run(self, service: str) -> None:
        try:
            name, _, argument = service.partition(":")
            if name.startswith("shell"):
                self._shell(argument, packets="v2" in name)
            elif name == "exec":
                self._shell(argument, packets=False)
            elif name == "sync":
                self._sync()
            self._connection.send(b"CLSE", self.local, self._remote)
        except (OSError, EOFError):
            pass

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), _MAX_DATA // 2):
            self._connection.send(b"WRTE", self.local, self._remote, data[start : start + _MAX_DATA // 2])
            if not self.acknowledged.acquire(timeout=30):
                raise EOFError

    def _read(self, length: int) -> bytes:
        while len(self._buffer) < length:
            part = self.incoming.get()
            if part is None:
                raise EOFError
            self._buffer += part
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data

    def _shell(self, command: str, packets: bool) -> None:
        path = f"{self._daemon.root}/bin:{os.environ['PATH']}"
        result = subprocess.run(
            ["sh", "-c", self._daemon.moved(command)], capture_output=True, env=os.environ | {"PATH": path}, check=False
        )
        if not packets:
            self._write(result.stdout + result.stderr)
            return
        for kind, data in (
            (_STDOUT, result.stdout),
            (_STDERR, result.stderr),
            (_EXIT, bytes([result.returncode & 0xFF])),
        ):
            if data:
                self._write(struct.pack("<BI", kind, len(data)) + data)

    # Transfer of files

    def _sync(self) -> None:
        while True:
            kind, length = struct.unpack("<4sI", self._read(8))
            if kind == b"QUIT":
                return
            path = self._read(length).decode()
            handlers = {b"STAT": self._stat, b"LIST": self._list, b"SEND": self._send, b"RECV": self._receive}
            handlers[kind](path)

    def _stat(self, path: str) -> None:
        self._write(b"STAT" + self._described(Path(self._daemon.moved(path))))

    def _described(self, path: Path) -> bytes:
        try:
            info = path.stat()
        except OSError:
            return struct.pack("<III", 0, 0, 0)
        return struct.pack("<III", info.st_mode, info.st_size, int(info.st_mtime))

    def _list(self, path: str) -> None:
        folder = Path(self._daemon.moved(path))
        for entry in [folder, *sorted(folder.iterdir())] if folder.is_dir() else []:
            name = b"." if entry == folder else entry.name.encode()
            self._write(b"DENT" + self._described(entry) + struct.pack("<I", len(name)) + name)
        self._write(b"DONE" + bytes(16))

    def _send(self, path_and_mode: str) -> None:
        """Receive a file from the host."""
        path, _, mode = path_and_mode.rpartition(",")
        content = bytearray()
        faults = self._daemon.faults
        while True:
            kind, length = struct.unpack("<4sI", self._read(8))
            if kind == b"DONE":
                break
            content += self._read(length)
            faults.received_bytes += length
            if faults.disconnect_after_bytes is not None and faults.received_bytes >= faults.disconnect_after_bytes:
                self._daemon.close()
                raise EOFError
        if faults.storage_full:
            self._fail("couldn't create file: No space left on device")
            return
        if path.endswith(".sh"):
            content = bytearray(self._daemon.moved(content.decode()).encode())
        target = Path(self._daemon.moved(path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(stat.S_IMODE(int(mode)) | stat.S_IRUSR | stat.S_IWUSR)
        except OSError as error:
            self._fail(error.strerror or "error")
            return
        self._write(b"OKAY" + struct.pack("<I", 0))

    def _receive(self, path: str) -> None:
        """Send a file to the host."""
        try:
            content = Path(self._daemon.moved(path)).read_bytes()
        except OSError as error:
            self._fail(error.strerror or "error")
            return
        for start in range(0, len(content), 64 * 1024):
            part = content[start : start + 64 * 1024]
            self._write(b"DATA" + struct.pack("<I", len(part)) + part)
        self._write(b"DONE" + struct.pack("<I", 0))

    def _fail(self, reason: str) -> None:
        self._write(b"FAIL" + struct.pack("<I", len(reason)) + reason.encode())
