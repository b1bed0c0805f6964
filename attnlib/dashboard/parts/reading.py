"""“How to read a map”: one explanation, the same on every page."""

from __future__ import annotations

import streamlit as st

WORDS = """
- **The picture** is what the model saw: your image after resizing and cropping. Under a map its
  colours are muted, so that every colour you see belongs to the map.
- **A patch** is one square of the grid that the model cuts the picture into; it is one token. A
  map has one number for each patch.
- **× uniform** counts in equal shares: 1 is what a patch gets if all get the same, 3 is three
  times that. Nothing lies over a patch with 0.
- **Attention** says where a token *looks*, the same for every class. **Relevance** says which
  patches *speak for one class*, by the gradient of its score; maps that stand side by side share
  one scale, which the bar under them shows.
- **Of a class that the model did not choose**, relevance often shows what stood in that class's
  way as well, as it has no sign: in most marked mistakes of the demo of objects the mark is on top
  in the map of the *true* class too. What speaks for one class *rather than* another is a map of
  its own, and those by integrated gradients have a sign.
- **Red and blue** belong to maps with a sign: red is above zero, or above uniform, and blue below;
  the line under the bar says of what.
- **Query**: the token that looks. “CLS token” is the one the prediction is read from.
- **Layers and heads** are counted from 0: “layer 5 of 6” is the last of six. A head is one of
  several attention maps that a layer makes side by side.
- **Capture checked**: the attention shown was multiplied out and compared with what the model
  really computed; the number is the largest difference.
- A map shows *where*, not *why*, and may be no better than chance: the page “Rollout vs flow”
  measures it against random maps.
"""


def popover() -> None:
    """The button with the explanation behind it."""
    with st.popover(
        "How to read a map",
        icon=":material/help:",
        help="What the colours, numbers and words mean.",
        width="content",
    ):
        st.markdown(WORDS)
