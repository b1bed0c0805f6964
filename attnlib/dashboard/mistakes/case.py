"""One prediction with the maps behind it: what a card, a report entry and the page show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import standard
from attnlib.dashboard.parts.board import Figure, Pair
from attnlib.dashboard.parts.pictures import Style, draw, plain, scale_of
from attnlib.dashboard.state import results
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.methods import Heat, Method
from attnlib.methods.base import Progress
from attnlib.pictures.colormaps import Scale


@dataclass(frozen=True)
class Wanted:
    """One map of one image."""

    name: str
    method: str
    target: int | None
    options: tuple[tuple[str, Any], ...] = ()


Maps = Callable[[Wanted], Heat | None]


@dataclass(frozen=True)
class Panel:
    """One picture with what it shows, in a caption short enough to stand under it.

    Attributes:
        name: of the image, which lies under the map.
        heat, scale: the map; None for the picture alone.
    """

    caption: str
    name: str
    heat: Heat | None = None
    scale: Scale | None = None

    def picture(self, space: Workspace, style: Style, side: int) -> Image.Image:
        """The panel as a picture of its own, for a file."""
        crop = space.crop(self.name)
        if self.heat is None or self.scale is None:
            return plain(crop, side)
        return draw(crop, self.heat, self.scale, style, side)

    def figure(self, space: Workspace) -> Figure:
        """The panel on a board."""
        width, height = space.crop(self.name).size
        layout = space.about(self.name).vit.layout
        return Figure(
            self.name,
            self.caption,
            self.heat,
            self.scale,
            sync=self.name,
            grid=layout.grid,
            covers=layout.covers((height, width)),
        )


@dataclass(frozen=True)
class Reference:
    """A correct image to compare with, with its map.

    Attributes:
        words: what it is to the case, and how alike.
        far: whether it is hardly like it.
    """

    words: str
    panels: Sequence[Panel]
    far: bool = False

    def pair(self, space: Workspace) -> Pair:
        """The reference on a board."""
        return Pair([panel.figure(space) for panel in self.panels], self.words, self.far)


@dataclass(frozen=True)
class Case:
    """One image's panels.

    Attributes:
        panels: the crop, the map for the predicted class, the one for the true class, and
            what speaks for the first rather than the second; the two maps share one scale.
        references: the nearest correct images of the true and of the predicted class, with
            their maps; one without panels says that there is none.
        problem: why maps are missing, or "".
        waits: the maps that were not there yet.
    """

    prediction: Prediction
    panels: list[Panel]
    references: list[Reference]
    problem: str = ""
    waits: list[Wanted] = field(default_factory=list)


def computed(space: Workspace, progress: Progress | None = None) -> Maps:
    """Maps that are computed where they are not kept.

    Args:
        progress: told of a slow method's steps; what it raises ends it.
    """
    return lambda wanted: heat(
        space, wanted.name, wanted.method, wanted.target, progress, **dict(wanted.options)
    )


def build(space: Workspace, prediction: Prediction, maps: Maps) -> Case:
    """The panels of one prediction.

    The maps are of the method that :mod:`attnlib.dashboard.mistakes.standard` says; where they
    are not there yet, the attention that the inspection left behind stands in.

    Args:
        maps: gives a map, or None where it is not there yet.
    """
    DRAWING.give_way()
    return _Builder(space, prediction, maps).build()


@dataclass
class _Builder:
    space: Workspace
    prediction: Prediction
    maps: Maps
    waits: list[Wanted] = field(default_factory=list)

    def build(self) -> Case:
        panels = [Panel("what the model saw", self.prediction.name)]
        try:
            panels += self._panels()
            references = self._references()
        except AttnlibError as error:
            return Case(self.prediction, panels, [], str(error))
        return Case(self.prediction, panels, references, waits=self.waits)

    @property
    def _method(self) -> Method:
        return standard.method(self.space.vit.support)

    def _map(self, name: str, method: str, target: int | None, **options: Any) -> Heat | None:
        wanted = Wanted(name, method, target, tuple(sorted(options.items())))
        found = self.maps(wanted)
        if found is None:
            self.waits.append(wanted)
        return found

    def _panels(self) -> list[Panel]:
        prediction, method = self.prediction, self._method
        if not method.class_specific:
            return self._class_agnostic(method.name)
        name, predicted = prediction.name, self.space.class_name(prediction.predicted)
        for_predicted = self._map(name, method.name, prediction.predicted)
        if not prediction.wrong or prediction.label in (None, prediction.predicted):
            if for_predicted is None:
                return self._meanwhile()
            return [self._alone(f"for “{predicted}”", for_predicted)]
        assert prediction.label is not None
        true = self.space.class_name(prediction.label)
        for_true = self._map(name, method.name, prediction.label)
        has = method.name == "relevance"
        contrast = self._contrast(name, prediction.predicted, prediction.label) if has else None
        if for_predicted is None or for_true is None:
            return self._meanwhile()
        scale = scale_of([for_predicted, for_true], "shared")
        panels = [
            Panel(f"for “{predicted}” ({_part(prediction)})", name, for_predicted, scale),
            Panel(f"for “{true}” (true)", name, for_true, scale),
        ]
        if contrast is not None:
            panels.append(self._alone(f"for “{predicted}” rather than “{true}”", contrast))
        return panels

    def _contrast(self, name: str, target: int, against: int) -> Heat | None:
        """What speaks for a mistake, by the best contrast that can be made."""
        best, simple = standard.CONTRASTS
        try:
            return self._map(name, best, target, against=against)
        except AttnlibError:
            return self._map(name, simple, target, against=against)

    def _alone(self, caption: str, made: Heat, name: str | None = None) -> Panel:
        return Panel(caption, name or self.prediction.name, made, scale_of([made]))

    def _class_agnostic(self, method: str) -> list[Panel]:
        made = self._map(self.prediction.name, method, None)
        if made is None:
            return self._meanwhile()
        title = "rollout" if method == "rollout" else "attention"
        return [self._alone(f"{title} (the same for every class)", made)]

    def _meanwhile(self) -> list[Panel]:
        """What every inspection leaves behind."""
        follows = f"; {standard.word(self._method)} follows"
        return stand_in(self.space, self.prediction.name, follows)

    def _references(self) -> list[Reference]:
        """Correct images to compare with: of the true class, and of the class taken for it."""
        prediction, space = self.prediction, self.space
        if not prediction.wrong or prediction.label is None:
            return []
        found = []
        for label in dict.fromkeys((prediction.label, prediction.predicted)):
            title = f"correct “{space.class_name(label)}”"
            nearest = space.nearest_correct(prediction.name, label)
            if not nearest:
                found.append(Reference(f"no {title} among these images", []))
                continue
            name, likeness = nearest[0]
            panels = [Panel(f"nearest {title}", name)]
            if self._method.class_specific:
                made = self._map(name, self._method.name, label)
                if made is not None:
                    panels.append(self._alone("its map", made, name))
            usual = space.usual_likeness(prediction.name)
            far = likeness < usual
            words = f"nearest {title}, similarity {signed(likeness)}"
            if far:
                words += ": far, over a quarter of all images are more alike"
            found.append(Reference(words, panels, far))
        return found


def signed(number: float) -> str:
    """Two decimals, with a minus sign that is one."""
    return f"{number:.2f}".replace("-", "\N{MINUS SIGN}")


def _part(prediction: Prediction) -> str:
    """Whether the class of the first map is predicted: of independent labels maybe none is."""
    return "predicted" if prediction.predicted in prediction.said else "not predicted"


def stand_in(space: Workspace, name: str, more: str = "") -> list[Panel]:
    """What is shown while a map is being made: the attention that the inspection left behind.

    Args:
        more: after its caption.
    """
    made = readout(space, name)
    if made is None:
        return []
    words = f"attention of the last layer, mean over heads{more}"
    return [Panel(words, name, made, scale_of([made]))]


def readout(space: Workspace, name: str) -> Heat | None:
    """The readout's attention in the last layer, mean over heads, where a record is kept."""
    found = results.kept_inspection(space.choice, space.by_name[name])
    if found is None or not len(found.record.rows):
        return None
    record = found.record
    shares = record.cls_rows[-1].mean(axis=0)
    return Heat(
        values=np.asarray(shares.reshape(record.grid), np.float32),
        unit="share of attention",
        query=record.query,
        method="raw",
        share=True,
        covers=found.covers,
    )


def kept(space: Workspace) -> Maps:
    """Maps that are in memory; nothing is computed."""
    return lambda wanted: results.kept_heat(
        space.choice,
        space.by_name[wanted.name],
        wanted.method,
        wanted.target,
        **dict(wanted.options),
    )


def heat(
    space: Workspace,
    name: str,
    method: str,
    target: int | None,
    progress: Progress | None = None,
    **options: Any,
) -> Heat:
    """A map of a loaded image by name."""
    sample = space.by_name[name]
    return results.heat(space.choice, space.vit, sample, method, target, progress, **options)
