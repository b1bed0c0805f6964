"""From layer to layer: when did the model start to look where it looks?"""

from __future__ import annotations

import io

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.capture.record import row_entropy
from attnlib.dashboard.attention import by_layer, ranges
from attnlib.dashboard.attention.measured import statistics
from attnlib.dashboard.attention.one import PICTURE, panel
from attnlib.dashboard.parts import charts, controls, downloads, pictures, views
from attnlib.dashboard.parts.look import Array, Look
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.parts.tiles import listed
from attnlib.errors import AttnlibError
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.sheet import sheet

FRAME_MS = 700
OF_LOG, NATS = "÷ log N", "in nats"


def show(look: Look) -> None:
    """Some layers side by side, or all of them one after the other, and numbers by layer."""
    rows = [look.rows(layer) for layer in range(look.layers)]
    maps = [look.map(layer) for layer in range(look.layers)]
    scale = look.scale(*maps)
    # 0, L/3, 2L/3 and the last.
    default = sorted({0, look.layers // 3, 2 * look.layers // 3, look.layers - 1})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = controls.several(
            "attention_layers",
            "Layers",
            range(look.layers),
            default=default,
            of=look.layers,
            width=420,
            help="The layers that stand side by side.",
        )
        play = controls.toggle(
            "attention_play",
            "Play all layers",
            help="Shows every layer after the other, again and again.",
        )
    with pictures.beside("layers"):
        if play:
            frames = [look.draw(one, scale, 2 * PICTURE) for one in maps]
            pictures.show(
                _animated(frames),
                PICTURE,
                caption=f"layers 0 to {look.layers - 1}, one after the other",
                alt="Animation through all layers",
            )
        for layer in sorted(picked):
            panel(
                look.draw(maps[layer], scale, 2 * PICTURE),
                look,
                f"layer {layer}",
            )
    legend_bar(scale, f"query: {look.query_name}, {look.head_name}", style=look.style)
    _numbers(look, rows)
    with st.container(horizontal=True):
        downloads.picture(lambda: _strip(look, maps, scale), "progression")
        downloads.table(lambda: listed(np.stack(maps), "layer"), "progression")
    by_layer.show(look, maps)
    views.guarded(ranges.show)(look)


def _numbers(look: Look, rows: list[Array]) -> None:
    """Entropy of the query's rows and attention distance, a dot for each head."""
    entropy = np.stack([row_entropy(maps.reshape(len(maps), -1)) for maps in rows])
    in_nats = controls.segments(
        "attention_entropy",
        "Entropy in",
        [OF_LOG, NATS],
        help="Of its largest possible value, log N for N patches, or plain, with the natural "
        "logarithm.",
    )
    highest = float(np.log(rows[0][0].size)) if in_nats == NATS else 1.0
    entropy = entropy * np.float32(highest)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=440):
            st.markdown(f"**Entropy** by layer: 0 is one patch, {highest:.4g} is uniform")
            charts.layers(entropy, f"entropy {in_nats}", (0.0, highest))
            downloads.layers(entropy, "entropy-by-layer")
        with st.container(width=440):
            st.markdown("**Attention distance** by layer: how far patches look")
            try:
                distance = statistics(look).distance
            except AttnlibError as error:
                st.info(literal(str(error)))
                return
            charts.layers(distance, "pixels", (0.0, float(distance.max()) * 1.05))
            downloads.layers(distance, "distance-by-layer")


def _animated(frames: list[Image.Image]) -> bytes:
    """An animated PNG: colours stay exact, which a GIF's 256 would not."""
    out = io.BytesIO()
    frames[0].save(
        out, "PNG", save_all=True, append_images=frames[1:], duration=FRAME_MS, compress_level=1
    )
    return out.getvalue()


def _strip(look: Look, maps: list[Array], scale: Scale) -> Image.Image:
    return sheet([look.draw(one, scale, 2 * PICTURE) for one in maps], len(maps))
