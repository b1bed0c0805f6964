"""``python -m tests.fuzz --minutes 60``: damage valid files, and see what readers make of them.

What must not be: an exception that is not the library's own, a call of more than 10 seconds, or one
that takes more memory than :data:`tests.fuzz.run.MEGABYTES`. Ends with 1 where something was found.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import torch
import transformers

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="of an earlier run, as it was printed")
    parser.add_argument("--only", choices=list(TARGETS))
    parser.add_argument("--keep", type=Path, help="a folder for the files that found something")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity(50)
    tally = run(60 * given.minutes, seed, given.only, given.keep)
    for name, tried in sorted(tally.tried.items()):
        print(f"{name:12} {tried:8} tried, {tally.refused[name]} refused")
    print(
        f"{tally.tried.total()} in all, {len(tally.finds)} finds; the slowest took "
        f"{tally.slowest:.1f} s, the largest {tally.largest:.0f} MB"
    )
    return 1 if tally.finds else 0


if __name__ == "__main__":
    sys.exit(main())
