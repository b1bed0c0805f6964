"""Grad-CAM on the tokens that the last layer reads, or on the places of the last stage."""

from __future__ import annotations

from torch import Tensor

from attnlib.capture.places import last_places, read_places
from attnlib.methods.base import Method, asked, patches_of
from attnlib.methods.subject import Subject


def gradcam(subject: Subject, target: int | None) -> Tensor:
    """max(0, Σ_d w_d x_nd) per patch n, ``(N,)``, with w_d the mean over patches of d logit/d x_nd.

    x are the patch tokens after the normalisation ahead of the last layer's attention: in the
    last layer's *output* a CLS readout leaves the gradient of every patch zero.  Where layers do
    not share their tokens (windows, a pyramid) x are the features that the model averages in the
    end, or, if a class token takes them, those that the last attention reads, and a patch has the
    number of the place that it belongs to.

    Raises:
        AttnlibError: there is no target.
        CaptureError: there is no such normalisation, or no such average of more than one place.
    """
    target = asked(target)
    vit, layout = subject.vit, subject.layout
    if vit.support.averaged or vit.support.read:
        find = last_places if vit.support.averaged else read_places
        places = find(vit, subject.pixels, target)
        weights = places.gradient.mean(dim=(0, 1))
        weighted = (places.features @ weights).clamp(min=0)
        return places.spread(weighted, layout.grid).flatten()
    tokens, gradient = subject.differentiable.of_tokens(target)
    weights = patches_of(gradient, layout).mean(dim=0)
    return (patches_of(tokens, layout) @ weights).clamp(min=0)


GRADCAM = Method(
    name="gradcam",
    title="Grad-CAM",
    abbreviation="CAM",
    description=(
        "Patch tokens that the last layer reads, weighted by how the chosen class's logit "
        "depends on each of their channels; of models of windows or a pyramid the places of "
        "their last stage, each as large as many patches. Made for convolutions; it is coarse."
    ),
    source="Selvaraju et al., ICCV 2017, eq. 1 and 2",
    unit="weighted activation",
    compute=gradcam,
    class_specific=True,
    needs="features",
    passes="1 + 1 back",
)
