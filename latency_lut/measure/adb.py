"""The stock `adb` program as a way to run commands on a phone and to move files, with its failures told apart."""

from __future__ import annotations

import errno
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from searchspace.support.errors import UserError

_REMEDIES = {
    "unauthorized": "unlock the phone and accept this computer's key in the dialogue it shows",
    "offline": "plug the cable in again; if that does not help, switch USB debugging off and on",
    "no permissions": "this computer may not use the USB device; see https://developer.android.com/tools/device",
    "recovery": "start the phone normally",
    "sideload": "start the phone normally",
    "bootloader": "start the phone normally",
}
_PASSING = frozenset({"authorizing", "connecting"})


class DeviceLost(ConnectionError):
    """The phone went away while it was used; what was measured is kept and the run can be resumed."""


class PhoneError(OSError):
    """The phone could not do what it was asked to, for a reason on the phone."""


class Adb:
    """One phone, reached through the adb program."""

    def __init__(self, program: str, serial: str | None) -> None:
        """Find the phone with that serial, or the only one that is plugged in.

        Raises UserError when adb or the phone is not there, or not ready, saying what to do.
        """
        found = shutil.which(program)
        if found is None:
            raise UserError(
                f"no adb program at {program!r}; install Android's platform tools (Debian: apt-get install adb) "
                "or give its path with --adb"
            )
        self.program = found
        self.serial = serial or self._only_serial()
        state = self._settled_state()
        if state != "device":
            raise UserError(self._not_ready(state))

    def devices(self) -> dict[str, str]:
        """Return the state of every phone by serial: `device` when it is ready, else `unauthorized`, `offline`, ..."""
        command = [self.program, "devices"]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            raise PhoneError("adb did not list its phones within 60 s; try `adb kill-server`") from None
        if result.returncode:
            raise PhoneError(f"adb cannot list phones: {_last_line(result.stderr) or _last_line(result.stdout)}")
        lines = result.stdout.partition("List of devices attached")[2].splitlines()
        pairs = (line.split("\t", 1) for line in lines if "\t" in line)
        return {serial: state.split(" (")[0].split(";")[0].strip() for serial, state in pairs}

    def shell(self, *command: str, timeout_s: float = 60) -> str:
        """Run a command on the phone and return what it printed; raises PhoneError when it fails."""
        return self._run(["shell", "-T", shlex.join(command)], timeout_s).decode(errors="replace")

    def script(self, path: str, timeout_s: float) -> str:
        """Run a shell script that is on the phone."""
        return self.shell("sh", path, timeout_s=timeout_s)

    def read(self, path: str) -> str | None:
        """Return the text of a small file on the phone, None where it is absent or may not be read."""
        try:
            return self.shell("cat", path).strip() or None
        except PhoneError:
            return None

    def push(self, sources: Sequence[Path], target: str, timeout_s: float = 600) -> None:
        """Copy files into the folder `target` on the phone."""
        self._run(["push", *map(str, sources), f"{target}/"], timeout_s)

    def pull(self, source: str, target: Path, timeout_s: float = 120) -> None:
        """Copy a file or folder from the phone."""
        self._run(["pull", source, str(target)], timeout_s)

    def _run(self, arguments: list[str], timeout_s: float) -> bytes:
        command = [self.program, "-s", self.serial, *arguments]
        try:
            result = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise DeviceLost(f"the phone {self.serial} did not answer for {timeout_s:.0f} s") from None
        if result.returncode == 0:
            return result.stdout
        said = result.stderr.decode(errors="replace") + result.stdout.decode(errors="replace")
        # What went wrong is asked of adb's list of devices, not guessed from a message's wording.
        state = self.devices().get(self.serial)
        if state != "device":
            raise DeviceLost(self._not_ready(state))
        if "No space left on device" in said:  # the C library's text for ENOSPC, which adb passes on
            raise PhoneError(errno.ENOSPC, "the phone's storage is full", self.serial)
        raise PhoneError(
            f"the phone {self.serial} could not {_described(arguments)}: {_last_line(said) or 'no reason'}"
        )

    def _settled_state(self) -> str | None:
        """Return the phone's state, after a moment's patience with one that is only just connecting."""
        for _ in range(20):
            state = self.devices().get(self.serial)
            if state not in _PASSING:
                break
            time.sleep(0.2)
        return state

    def _only_serial(self) -> str:
        devices = self.devices()
        if not devices:
            raise UserError("no phone is connected: plug one in and switch on USB debugging (docs/measuring.md)")
        if len(devices) > 1:
            listed = ", ".join(f"adb:{serial}" for serial in sorted(devices))
            raise UserError(f"several phones are connected, choose one with --device: {listed}")
        return next(iter(devices))

    def _not_ready(self, state: str | None) -> str:
        if state is None:
            return f"the phone {self.serial} is not connected: plug it in"
        return (
            f"the phone {self.serial} is {state}: {_REMEDIES.get(state, 'wait until `adb devices` lists it as device')}"
        )


def _described(arguments: list[str]) -> str:
    verb = {"push": "store files", "pull": "hand over results"}.get(arguments[0], "run a command")
    return verb


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
