"""Mutation testing of the dashboard: which small errors do the tests of a page let pass?

    pip install cosmic-ray==8.7.0
    python -m benchmarks.mutants --seed 8 --count 64

Modules that choose, order, index or draw are changed in one place at a time by the operators of
cosmic-ray, in a copy of the tree, and the tests of the module are run: they should fail. Modules
take turns; in each, a place is drawn, then one of the changes that are possible there, so that
``+`` with its eleven replacements weighs no more than a ``True``.

Left out is what cannot be told from the original by looking at the page: annotations and
decorators, code that does not compile, and the values of arguments that only lay out (`LAYOUT`).
Mutants that survive although they only move something by pixels are counted as survivors.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
DASHBOARD = "attnlib/dashboard"
COPIED = ("attnlib", "pages", "tests", "app.py", "pyproject.toml", ".streamlit")
# Folder, its modules, and what tests them, the fastest first: `tests/dashboard/test_<name>.py`.
_TESTED = (
    (
        "mistakes",
        "case gallery confusion detail summary explain",
        "screen_mistakes screen_words screen_clicks app",
    ),
    (
        "attention",
        "one grids progression compare whole choose",
        "screen_attention screen_clicks cls_attention_page",
    ),
    (
        "heads",
        "similarity effects pairs removal grid heat_map numbers averaged comparison",
        "screen_heads screen_words head_similarity_page shared_results",
    ),
    (
        "compare",
        "maps difference agreement drawing where localisation compute",
        "screen_compare screen_clicks rollout_vs_flow_page",
    ),
    (
        "walk",
        "drawing steps place explorer temperature",
        "screen_walk screen_words screen_clicks walkthrough_page",
    ),
    ("parts", "look tiles cells", "screen_attention screen_clicks cls_attention_page"),
    ("parts", "pictures target verdict", "screen_mistakes screen_words app"),
    ("parts", "charts", "screen_mistakes screen_words screen_heads"),
    ("parts", "downloads", "screen_mistakes screen_attention downloads"),
    ("parts", "chosen", "screen_words cls_attention_page app"),
    ("state", "workspace", "screen_mistakes app"),
)
TESTS = {
    f"{folder}/{name}": tuple(tests.split())
    for folder, names, tests in _TESTED
    for name in names.split()
}
# Arguments that move or size what is drawn: pixels, of which no test should know.
LAYOUT = {
    *("width", "height", "horizontal", "hide_index", "expanded", "labelLimit", "labelAngle"),
    *("labelPadding", "fontSize", "fontWeight", "cornerRadius", "cornerRadiusEnd"),
    *("strokeWidth", "band", "dx", "dy"),
}
# Third parties that every run of tests needs: imported once, then forked.
HEAVY = ("torch", "torchvision", "timm", "streamlit", "altair", "scipy.stats", "pandas", "pytest")
LOG = "log.txt"
Place = tuple[int, int]


@dataclass(frozen=True)
class Site:
    """One change that an operator of cosmic-ray offers.

    Attributes:
        module: below `DASHBOARD`, without ending.
        start: line, counted from 1, and column.
        operator, occurrence: what cosmic-ray calls it.
    """

    module: str
    start: Place
    operator: str
    occurrence: int

    def code(self) -> str | None:
        """The whole changed module; None where it does not compile or means the same."""
        source = _source(self.module)
        code = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        try:
            same = code is None or ast.dump(ast.parse(code)) == ast.dump(ast.parse(source))
        except SyntaxError:
            return None
        return None if same else str(code)

    def row(self) -> str:
        """Module, line, operator, and the line before and after, as cells of a table."""
        pairs = zip(_source(self.module).splitlines(), str(self.code()).splitlines(), strict=False)
        before, after = next((a.strip(), b.strip()) for a, b in pairs if a != b)
        name = self.operator.removeprefix("core/")
        return f"{self.module} | {self.start[0]} | {name} | `{before}` → `{after}`"


def _source(module: str) -> str:
    return (ROOT / DASHBOARD / f"{module}.py").read_text()


def sites(module: str) -> Iterator[Site]:
    """All changes of a module but for those that are left out."""
    source = _source(module)
    nodes, spans = list(ast_nodes(get_ast(source))), list(_left_out(ast.parse(source)))
    for name in operator_names():
        if name.startswith("core/Variable"):  # needs to be told which
            continue
        operator = get_operator(name)()
        found = (place for node in nodes for place, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(found):
            if not any(first <= start < last for first, last in spans):
                yield Site(module, start, name, occurrence)


def _left_out(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    """From where to where there are annotations, decorators and values of the layout."""
    for node in ast.walk(tree):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.FunctionDef):
            parts = [node.returns, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            parts = [*node.decorator_list]
        elif isinstance(node, ast.arg | ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.keyword) and node.arg in LAYOUT:
            parts = [node.value]
        for part in parts:
            if part is not None:
                end = part.end_lineno or part.lineno, part.end_col_offset or 0
                # A decorator begins with its sign.
                yield (part.lineno, max(0, part.col_offset - 1)), end


def drawn(seed: int, count: int) -> list[Site]:
    """A sample, the modules in turn."""
    # Each module has its own chance: a change of one draws nothing else for the others.
    turns = [_shuffled(module, random.Random(f"{seed} {module}")) for module in TESTS]
    found = (site for turn in itertools.zip_longest(*turns) for site in turn if site is not None)
    return list(itertools.islice(found, count))


def _shuffled(module: str, rng: random.Random) -> Iterator[Site]:
    """One change of each place of a module, in the order of chance."""
    places: dict[Place, list[Site]] = {}
    for site in sites(module):
        places.setdefault(site.start, []).append(site)
    for place in rng.sample(sorted(places), len(places)):
        site = rng.choice(places[place])
        if site.code() is not None:
            yield site


def passes(tree: Path, tests: str, timeout: float) -> bool:
    """Whether a file of tests passes in a tree; not if it takes too long."""
    child = os.fork()
    if not child:
        _test(tree, tests)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _test(tree: Path, tests: str) -> None:
    """Run tests and end this process, which is a fork with the heavy imports done."""
    import pytest

    code = 1
    try:
        os.chdir(tree)
        sys.path[:] = [str(tree), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
        log = os.open(tree / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = int(
            pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"tests/dashboard/test_{tests}.py"])
        )
        assert Path(sys.modules["attnlib"].__file__ or "").is_relative_to(tree)
    finally:
        sys.stdout.flush()
        os._exit(code)


def copied(folder: Path) -> Path:
    """What the tests need, below a folder."""
    tree = folder.resolve()
    for name in COPIED:
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, tree / name)
    return tree


def catcher(tree: Path, site: Site, sound: set[str], seconds: float) -> str:
    """The tests that fail, or hang, once a module is changed; "" where none do.

    Args:
        sound: tests that are known to pass on the code as it is; those met are added.

    Raises:
        SystemExit: tests fail without any change, so that they would seem to catch everything.
    """
    path = tree / DASHBOARD / f"{site.module}.py"
    kept = path.read_text()
    path.write_text(str(site.code()))
    found = next((t for t in TESTS[site.module] if not passes(tree, t, seconds)), "")
    path.write_text(kept)
    if found and found not in sound and not passes(tree, found, seconds):
        raise SystemExit(f"{found} fails as it is:\n{(tree / LOG).read_text()}")
    sound.add(found)
    return found


def main() -> None:
    """Draw, run and print a table."""
    parser = argparse.ArgumentParser(description="Mutation testing of the dashboard.")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the mutants to run again")
    parser.add_argument("--list", action="store_true", help="only show what is drawn")
    parser.add_argument("--timeout", type=float, default=400, help="seconds for a file of tests")
    args = parser.parse_args()
    every = list(enumerate(drawn(args.seed, args.count)))
    sample = [(i, site) for i, site in every if not args.only or i in args.only]
    print(
        "| | module | line | operator | before → after | caught by |\n|---:|---|---:|---|---|---|"
    )
    if args.list:
        for i, site in sample:
            print(f"| {i} | {site.row()} | |")
        return
    # On a busy machine, threads that wait for one another take most of the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for module in HEAVY:
        import_module(module)
    # Two changes of a file within a second look alike to the cache of compiled modules.
    sys.dont_write_bytecode = True
    total, sound = 0, set[str]()
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for i, site in sample:
            found = catcher(tree, site, sound, args.timeout)
            total += bool(found)
            print(f"| {i} | {site.row()} | {found or '**survived**'} |", flush=True)
    print(f"\n{total} of {len(sample)} are caught.")


if __name__ == "__main__":
    main()
