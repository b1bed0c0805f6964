"""The control of a repair: the same head of random right images of a third class in its place."""

from __future__ import annotations

from attnlib.audit import Prediction
from attnlib.dashboard.heads import decided
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import AttnlibError
from attnlib.heads.ablation import HeadEffects
from attnlib.heads.control import DONORS, Control, control, strangers

NONE = (
    "There is no control here: it takes right images of a third class. Without it a repair says "
    "little, since the best of many heads looks good by chance."
)


def of(space: Workspace, prediction: Prediction, count: int = DONORS) -> tuple[Sample, ...]:
    """The images whose heads are put in place; none among independent labels."""
    decision = decided.of(prediction)
    if decision.label is not None or decision.true is None:
        return ()
    found = space.predictions
    place = next(i for i, other in enumerate(found) if other.name == prediction.name)
    chosen = strangers(
        [other.label for other in found],
        [other.predicted for other in found],
        place,
        decision.true,
        count,
    )
    return tuple(space.by_name[found[one].name] for one in chosen)


def measured(
    space: Workspace, prediction: Prediction, effects: HeadEffects, *, eager: bool
) -> Control | None:
    """The control of a wrong prediction; None until it is there, or where there can be none."""
    donors = of(space, prediction)
    if not donors:
        return None
    choice, vit = space.choice, space.vit
    sample = space.by_name[prediction.name]
    names = tuple(donor.sha256 for donor in donors)

    def work(progress: Progress) -> Control | AttnlibError:
        try:
            return results.numbers(
                choice,
                sample,
                ("head control", names, effects.against),
                lambda: control(
                    vit,
                    results.subject(choice, vit, sample).pixels,
                    effects,
                    [vit.pixels(results.decoded(choice, vit, donor)) for donor in donors],
                    progress,
                ),
            )
        except AttnlibError as error:
            return error

    found = tasks.run(
        "head control",
        (choice, sample.sha256, names, effects.against),
        work,
        button=f"Compare with the heads of {len(donors)} random images",
        help="Every head in turn is replaced by the same head of a right image of a third class.",
        eager=eager,
        shared=True,
    )
    return found if isinstance(found, Control) else None


def sentence(found: Control) -> str:
    """What the control gives, for the screen."""
    donors = len(found.now)
    which = "random right image" if donors == 1 else "random right images"
    return (
        f"{found.tried} heads were tried, and the best of so many looks good by chance: with the "
        f"same head of one of {donors} {which} of a third class in its place instead, "
        f"**{found.repairing} of {donors}** repair the prediction by some head as well. Heads "
        "come first whose removal repairs it although the fewest of these do."
    )
