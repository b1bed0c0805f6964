"""The top of every page: its title, and what is the same for all maps."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import drawn, reading

# Streamlit leaves half a screen's height to nothing above the title, and half the width beside it;
# on the primary colour it writes white, which nobody can read where that colour is light.
_CSS = """<style>
[data-testid=stHeader], [data-testid=stHeader] * { background: none; pointer-events: none; }
[data-testid=stHeader] button, [data-testid=stHeader] button * { pointer-events: auto; }
[data-testid=stMainBlockContainer] { padding: 1.1rem 2.2rem 3rem; max-width: 1500px; }
[data-testid=stMainBlockContainer] h1 { padding: 0; }
[class*=st-key-top-of-page] { padding-right: 2rem; }
.stApp:has([data-testid=stExpandSidebarButton]) [data-testid=stMainBlockContainer] {
  padding-top: 3.6rem; }
[class*=st-key-toolbar] { gap: .4rem; }
[class*=st-key-toolbar] button { padding: .2rem .55rem; min-height: 2rem; font-size: .85rem; }
@media (max-width: 1000px) {
  [data-testid=stMainBlockContainer] { padding: 1.1rem 1.6rem 2rem; }
  [data-testid=stMainBlockContainer] h1 { font-size: 1.45rem; }
  [data-testid=stMainBlockContainer] > [data-testid=stVerticalBlock] { gap: .5rem; }
}
@media (min-width: 641px) and (max-width: 1000px) {
  [class*=st-key-intro] { flex-wrap: nowrap; }
  [class*=st-key-intro] p { line-height: 1.3; }
  [class*=st-key-intro] [data-testid=stButton] { width: max-content; }
}
@media (max-width: 640px) {
  [data-testid=stMainBlockContainer] { padding: 3.6rem 1rem 2rem; }
  [class*=st-key-beside-] > * { width: calc(50% - .5rem) !important; flex: none; }
}
[data-testid=stPageLink-NavLink] * { white-space: normal; }
.outcome-wrong { color: color-mix(in srgb, #d55e00 70%, currentColor); }
.outcome-right { color: color-mix(in srgb, #009e73 70%, currentColor); }
[data-testid^=stBaseButton-primary], [data-testid=stMultiSelectTagsContainer] [data-tag] {
  color: light-dark(#ffffff, #10161d); }
</style>"""


def top(title: str, maps: bool = True) -> None:
    """The title; beside it how to read maps and how they are drawn.

    Args:
        maps: whether the page shows any.
    """
    st.html(_CSS)
    with st.container(
        horizontal=True,
        vertical_alignment="center",
        horizontal_alignment="distribute",
        key="top-of-page",
    ):
        st.title(title, width="content", anchor=False)
        if maps:
            with st.container(horizontal=True, gap="small", width="content"):
                reading.popover()
                drawn.popover()
