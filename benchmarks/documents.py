"""Print again what the pages show as printed, and put it there: `python benchmarks/documents.py [--write]`.

A page marks such text by a comment that names the command, with the text behind it up to the next empty line or, in a
code block, to its end:

    <!-- printed by: nas report runs/netadapt_cifar10 -->

`tests/nas/test_documents.py` compares every page with what its commands print now. Without --write, pages that differ
are listed and the status is 1.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- printed by: (nas [^\n]+) -->\n\n?(```\n(?P<block>.*?)```|(?P<line>[^\n]+(?:\n[^\n]+)*))", re.S)
# What differs from run to run or machine to machine, and what follows it.
ENDS = ("On this machine", "model.tflite", "Written to", "\nWritten to")


def pages() -> list[Path]:
    """Return every page, in order."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("runs/*/README.md")])


def marked(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (command, text on the page) for every mark of a page."""
    for match in MARK.finditer(page.read_text(encoding="utf-8")):
        yield match[1], (match["block"] if match["block"] is not None else match["line"]).strip()


@cache
def printed(command: str) -> str:
    """Return what a command prints, lines wrapped to 80 columns, without times of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(ROOT / "runs", Path(folder, "runs"))
        words = command.split()[1:]
        if words[0] == "search":
            words += ["--out", str(Path(folder, "found")), "--no-export"]
        done = subprocess.run(
            [sys.executable, "-m", "nas", *words],
            cwd=folder, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NAS_HOME": folder, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    end = next((i for i, line in enumerate(lines) if line.startswith(ENDS)), len(lines))
    text = "\n".join(lines[:end]).strip()
    return text.removeprefix(f"{words[-1]}: ") if words[0] == "report" else text


def renewed(page: Path) -> str:
    """Return a page with everything that it marks printed again."""

    def again(match: re.Match[str]) -> str:
        text = printed(match[1])
        return f"<!-- printed by: {match[1]} -->\n\n" + (f"```\n{text}\n```" if match["block"] is not None else text)

    return MARK.sub(again, page.read_text(encoding="utf-8"))


def main() -> int:
    """Renew the pages, or list those that differ."""
    stale = [page for page in pages() if renewed(page) != page.read_text(encoding="utf-8")]
    for page in stale:
        print(("renewed" if "--write" in sys.argv else "stale"), page.relative_to(ROOT))
        if "--write" in sys.argv:
            page.write_text(renewed(page), encoding="utf-8")
    return int(bool(stale) and "--write" not in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
