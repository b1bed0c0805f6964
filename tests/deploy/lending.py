"""A pip for the tests: ``install`` links packages that another environment has, nothing else.

So an environment holds exactly what was asked for by name, without a download; and ``check``
finds what was forgotten.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

HERE = Path(__file__).parent
SITE = HERE.parent
LENDER = (HERE / "lender").read_text().split(os.pathsep)
# A torch that was built for CUDA needs these to be imported; the container's is not.
CUDA = re.compile(r"(nvidia|cuda)-.*|triton")


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def there(places: list[str]) -> dict[str, Distribution]:
    return {plain(d.metadata["Name"]): d for d in distributions(path=places)}


def link(distribution: Distribution) -> None:
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
    for top in tops - {"__pycache__"}:
        source, target = Path(str(distribution.locate_file(top))), SITE / top
        if source.exists() and not target.exists():
            target.symlink_to(source)


def install(words: list[str]) -> None:
    assert "--no-deps" in words, "everything is named: --no-deps"
    lent = there(LENDER)
    text = Path(words[words.index("-r") + 1]).read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)( \\\n {4}--hash=)?", text, re.M)
    assert pins, "nothing is named"
    for name, _, hashed in pins:
        if "--require-hashes" in words:
            assert hashed, f"{name} has no hash"
        if plain(name) in lent:
            link(lent[plain(name)])
        else:
            print(f"{name} is not lent", file=sys.stderr)
    if any(plain(name) == "torch" for name, *_ in pins):
        for name in filter(CUDA.fullmatch, lent):
            link(lent[name])


def check() -> None:
    from packaging.requirements import Requirement

    found = there([str(SITE)])
    missing = []
    for name, distribution in found.items():
        for text in distribution.requires or ():
            need = Requirement(text)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            other = found.get(plain(need.name))
            if other is None and not CUDA.fullmatch(plain(need.name)):
                missing.append(f"{name} needs {need}, which the lock does not name")
    assert not missing, "\n".join(missing)


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    {"install": lambda: install(words), "check": check}[command]()
