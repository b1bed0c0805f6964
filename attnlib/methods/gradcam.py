"""Grad-CAM on the tokens that the last layer reads."""

from __future__ import annotations

from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.methods.base import Method, patches_of
from attnlib.methods.subject import Subject


def gradcam(subject: Subject, target: int | None) -> Tensor:
    """max(0, Σ_d w_d x_nd) per patch n, ``(N,)``, with w_d the mean over patches of d logit/d x_nd.

    x are the patch tokens after the normalisation ahead of the last layer's attention: in the
    last layer's *output* a CLS readout leaves the gradient of every patch zero.
    """
    if target is None:
        raise AttnlibError("This method explains a class: give a target.")
    tokens, gradient = subject.differentiable.of_tokens(target)
    weights = patches_of(gradient, subject.layout).mean(dim=0)
    return (patches_of(tokens, subject.layout) @ weights).clamp(min=0)


GRADCAM = Method(
    name="gradcam",
    title="Grad-CAM",
    abbreviation="CAM",
    description=(
        "Patch tokens that the last layer reads, weighted by how the chosen class's logit "
        "depends on each of their channels. Made for convolutions; on a ViT it is coarse."
    ),
    source="Selvaraju et al., ICCV 2017, eq. 1 and 2",
    unit="weighted activation",
    compute=gradcam,
    class_specific=True,
    needs="relevance",
)
