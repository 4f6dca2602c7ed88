"""Print how the house is built: imports between folders, files that a block family took, a picture of both.

    python scripts/structure.py                               # what docs/structure.md shows
    python scripts/structure.py --svg docs/img/structure.svg  # the picture

Test kits (`testing.py`), which look at a part through the eyes of the packages that use it, are left out.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("searchspace", "latency_lut", "netadapt", "nas")  # imports go to the left only
FAMILY = "searchspace/blocks/uib.py"

Edges = Counter[tuple[str, str]]


def modules(package: str) -> Iterator[Path]:
    """Yield the modules of a package, test kits left out."""
    yield from (path for path in sorted((ROOT / package).rglob("*.py")) if path.name != "testing.py")


def imported(path: Path) -> set[str]:
    """Return the names of the modules of this project that a module imports, wherever in it it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] in PACKAGES}


def folder_of(path: Path) -> str:
    """Return the folder a module lives in, from the root, with dots."""
    return ".".join(path.parent.relative_to(ROOT).parts)


def target_folder(name: str) -> str | None:
    """Return the folder of an imported module, None where the name is no module or package."""
    path = ROOT.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return folder_of(path.with_suffix(".py"))
    return ".".join(path.relative_to(ROOT).parts) if (path / "__init__.py").is_file() else None


def edges() -> Edges:
    """Count, for each pair of folders, the modules of the first that import from the second."""
    found: Edges = Counter()
    for package in PACKAGES:
        for path in modules(package):
            targets = {target for name in imported(path) if (target := target_folder(name)) is not None}
            found.update((folder_of(path), target) for target in targets if target != folder_of(path))
    return found


def between_packages(found: Edges) -> Edges:
    """Add up the edges between the four packages."""
    total: Edges = Counter()
    for (one, other), count in found.items():
        pair = (one.split(".")[0], other.split(".")[0])
        if pair[0] != pair[1]:
            total[pair] += count
    return total


def against_the_current(found: Edges) -> list[str]:
    """Return the edges that break a rule: to a package on the right, or from a tool of `nas` to a job or a command."""
    broken = []
    for one, other in sorted(found):
        first, second = PACKAGES.index(one.split(".")[0]), PACKAGES.index(other.split(".")[0])
        tool = one.startswith("nas.") and not one.startswith(("nas.jobs", "nas.cli"))
        if second > first or (tool and other.startswith(("nas.jobs", "nas.cli"))):
            broken.append(f"{one} -> {other}")
    return broken


def circles(found: Edges) -> list[str]:
    """Return the pairs of folders that import from each other, a folder and one inside it left out."""
    return [
        f"{one} <-> {other}"
        for one, other in sorted(found)
        if one < other and (other, one) in found and not other.startswith(f"{one}.")
    ]


def family_commit() -> list[str]:
    """Return the files of the commit that added the universal inverted bottleneck, with the lines it added."""
    log = ["git", "log", "--diff-filter=A", "--format=%H", "--", FAMILY]
    commit = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if not commit:
        return []
    show = ["git", "show", "--numstat", "--format=", commit[-1]]
    return subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip().split("\n")


def print_all(found: Edges) -> None:
    """Print what the page shows."""
    print("Files of the commit that added MobileNetV4's blocks (added, removed, file):")
    print("\n".join(f"    {line.expandtabs(6)}" for line in family_commit()))
    print("\nImports between packages (modules that import, counted by folder):")
    for (one, other), count in sorted(between_packages(found).items()):
        print(f"    {one:12} -> {other:12} {count:4}")
    print("\nImports between folders:")
    for source in sorted({one for one, _ in found}):
        targets = sorted(f"{other} {count}" for (one, other), count in found.items() if one == source)
        print(f"    {source} -> {', '.join(targets)}")
    print("\nAgainst the current:", "; ".join(against_the_current(found)) or "none")
    print("Folders that import from each other:", "; ".join(circles(found)) or "none")


_BOX, _GAP, _LINE, _TOP = 210, 90, 19, 64


def _folders(package: str) -> list[str]:
    """Return the folders of a package that hold modules, those of the jobs as `jobs/search`."""
    inside = {path.parent.relative_to(ROOT / package).as_posix() for path in modules(package)}
    return sorted(name for name in inside if name not in (".", "jobs"))


def picture(found: Edges) -> str:
    """Return the SVG: a box for each package with its folders, arrows for who imports from whom."""
    folders = {package: _folders(package) for package in PACKAGES}
    tallest = max(len(names) for names in folders.values())
    bottom = _TOP + 44 + _LINE * tallest
    total = between_packages(found)
    width, height = 4 * _BOX + 3 * _GAP + 20, bottom + 40 + 26 * len(total)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#0b6bcb"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="10" y="30" font-size="17" font-weight="bold">An import never points right</text>',
    ]
    middle = {}
    for number, package in enumerate(PACKAGES):
        x = 10 + number * (_BOX + _GAP)
        middle[package] = x + _BOX // 2
        parts.append(
            f'<rect x="{x}" y="{_TOP}" width="{_BOX}" height="{bottom - _TOP}" rx="8" fill="#f5f7fa" stroke="#5b6675"/>'
            f'<text x="{x + 12}" y="{_TOP + 24}" font-weight="bold">{package}</text>'
        )
        for line, name in enumerate(folders[package], start=1):
            parts.append(f'<text x="{x + 24}" y="{_TOP + 26 + _LINE * line}" fill="#1c2430">{name}/</text>')
    for row, (one, other) in enumerate(sorted(total)):
        y = bottom + 34 + 26 * row
        start, end = middle[one], middle[other]
        parts.append(
            f'<circle cx="{start}" cy="{y}" r="4" fill="#0b6bcb"/>'
            f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="#0b6bcb" marker-end="url(#tip)"/>'
            f'<text x="{(start + end) // 2}" y="{y - 4}" text-anchor="middle" fill="#5b6675">'
            f"{one} imports {other}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=Path, help="write the picture to this file")
    options = parser.parse_args()
    found = edges()
    if options.svg:
        options.svg.write_text(picture(found), encoding="utf-8")
    else:
        print_all(found)


if __name__ == "__main__":
    main()
