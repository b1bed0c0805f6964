"""The wrong predictions of an audit as one HTML page that needs nothing else.

The page loads nothing and runs nothing: pictures are inside it, its content security policy
forbids the rest. Every text that is not typed here is escaped, since file names, class names
and notes come from strangers.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from attnlib.audit.numbers import Summary
from attnlib.capture.outputs import Outputs
from attnlib.pictures.overlay import data_uri

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}

_STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #1a1d23;
  --quiet: #5b6270; --line: #dde0e6; --bar: #b9c3d4; --wrong: #b3261e; --right: #176b3a; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1e2127; --text: #e8eaee;
  --quiet: #a2a9b6; --line: #343943; --bar: #4d5a70; --wrong: #ff8a80; --right: #6fd39b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; }
h2 { margin: 0; font-size: 1.0625rem; }
p { margin: 0.25rem 0 0; }
.quiet, dt, figcaption { color: var(--quiet); font-size: 0.875rem; }
.user { unicode-bidi: isolate; }
dl { display: grid; gap: 0.75rem; margin: 1.5rem 0;
  grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); }
dl div, article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
dl div { padding: 0.75rem 1rem; }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
dd small { display: block; color: var(--quiet); font-size: 0.8125rem; font-weight: 400; }
.shown { margin: 0 0 0.75rem; }
.legend { margin: 0 0 0.75rem; }
.legend img { width: 10rem; height: 0.6rem; border-radius: 3px; }
article { margin: 0 0 1rem; padding: 1.25rem; break-inside: avoid; }
.verdict { display: flex; flex-wrap: wrap; gap: 0 1.5rem; }
.verdict b { font-weight: 600; }
.true b { color: var(--right); }
.predicted b { color: var(--wrong); }
.body { display: flex; flex-wrap: wrap; gap: 1.25rem; margin-top: 1rem; }
.images { display: grid; flex: 3 1 18rem; gap: 0.75rem; align-content: start;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
figure { margin: 0; }
figure img { display: block; width: 100%; border-radius: 6px; }
figcaption { margin-top: 0.375rem; }
.top { flex: 1 1 15rem; margin: 0; padding: 0; list-style: none; font-size: 0.875rem; }
.top li { margin-bottom: 0.5rem; }
.top span { display: flex; justify-content: space-between; gap: 1rem; }
.top i { display: block; height: 6px; margin-top: 2px; border-radius: 3px;
  background: var(--bar); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.top .true i { background: var(--right); }
.top .predicted i { background: var(--wrong); }
.note { margin-top: 1rem; padding-left: 0.75rem; border-left: 3px solid var(--line);
  white-space: pre-line; }
@media print { :root { --page: #fff; --card: #fff; --text: #000; --quiet: #444; --line: #bbb;
  --bar: #aaa; --wrong: #b3261e; --right: #176b3a; } body { max-width: none; padding: 0;
  font-size: 11px; } }
"""


@dataclass(frozen=True)
class Section:
    """Something that is said of the whole set, ahead of the single predictions.

    Attributes:
        title: one sentence.
        parts: what speaks for it, what to do, …: (what it is, sentence).
        images: captions, and pictures as PNG or JPEG bytes, shown side by side.
    """

    title: str
    parts: Sequence[tuple[str, str]]
    images: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True)
class ReportEntry:
    """One wrong prediction.

    Attributes:
        name: file name.
        true: name of the true class, or those of the true labels.
        predicted: name of the predicted class, or those of the predicted labels.
        top: the most probable classes by name, with probabilities 0 to 1, best first.
        images: captions, and pictures as PNG or JPEG bytes, shown side by side.
        note: a remark, "" for none; line breaks are kept.
    """

    name: str
    true: str | Sequence[str]
    predicted: str | Sequence[str]
    top: Sequence[tuple[str, float]]
    images: Sequence[tuple[str, bytes]]
    note: str = ""


def html_report(
    title: str,
    model_name: str,
    summary: Summary,
    entries: Sequence[ReportEntry],
    made: datetime | None = None,
    outputs: Outputs | None = None,
    legend: tuple[str, bytes] | None = None,
    sections: Sequence[Section] = (),
) -> str:
    """A complete HTML document, to be stored as UTF-8.

    Its size is that of the pictures times 4/3: the caller decides how many entries to give.

    Args:
        made: the time to print, in its own time zone; None prints none.
        outputs: what the model's outputs mean; exclusive classes if None.
        legend: what the colours of the maps mean: words, and a colour bar as PNG or JPEG bytes.
        sections: what is said of the whole set.

    Raises:
        ValueError: a picture is neither PNG nor JPEG.
    """
    time = f" · {_text(f'{made:%Y-%m-%d %H:%M %Z}'.strip())}" if made else ""
    outputs = outputs or Outputs()
    shown = f"{_count(len(entries), 'wrong prediction')} shown" if entries else ""
    cards = "\n".join(_card(entry) for entry in entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1 class="user" dir="auto">{_text(title)}</h1>
<p class="quiet">Model <span class="user">{_text(model_name)}</span>{time}</p>
<p class="quiet">Outputs: {_text(outputs.title)}</p>
</header>
<main>
<dl>{_tiles(summary, outputs)}</dl>
{"".join(map(_section, sections))}
<p class="quiet shown">{shown or "No wrong prediction to show."}</p>
{_legend(legend) if legend and entries else ""}
{cards}
</main>
</body>
</html>
"""


def _section(section: Section) -> str:
    parts = "".join(
        f'<p><b>{_text(title)}:</b> <span class="user" dir="auto">{_text(sentence)}</span></p>'
        for title, sentence in section.parts
    )
    images = "".join(_figure(caption, caption, image) for caption, image in section.images)
    shown = f'<div class="body"><div class="images">{images}</div></div>' if images else ""
    return f"""<article>
<h2 class="user" dir="auto">{_text(section.title)}</h2>
{parts}
{shown}
</article>"""


def _legend(legend: tuple[str, bytes]) -> str:
    words, bar = legend
    picture = f'<img src="{data_uri(bar, _mime(bar))}" alt="Colour scale">'
    return f'<p class="quiet legend">0 {picture} {_text(words)}</p>'


def _tiles(summary: Summary, outputs: Outputs) -> str:
    tiles = [
        ("Images", str(summary.images), f"{summary.labelled} with a label"),
        ("Wrong", str(summary.wrong), f"of {summary.labelled}"),
        ("Accuracy", "unknown", "no image has a label"),
    ]
    several = outputs.kind == "labels"
    if summary.accuracy is not None and summary.accuracy_interval is not None:
        low, high = summary.accuracy_interval
        interval = f"95&nbsp;% interval {100 * low:.1f} to {100 * high:.1f}&nbsp;%"
        title = "All labels right" if several else "Accuracy"
        tiles[2] = (title, _percent(summary.accuracy), interval)
    of = "surest mistake or least sure label" if several else "predicted class"
    for name, confidence in (
        ("Confidence when right", summary.confidence_right),
        ("Confidence when wrong", summary.confidence_wrong),
    ):
        if confidence is not None:
            tiles.append((name, _percent(confidence), f"mean probability of the {of}"))
    return "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>"
        for name, value, remark in tiles
    )


def _card(entry: ReportEntry) -> str:
    images = "".join(_figure(caption, entry.name, image) for caption, image in entry.images)
    bars = "".join(_bar(name, probability, entry) for name, probability in entry.top)
    note = f'<p class="note user" dir="auto">{_text(entry.note)}</p>' if entry.note else ""
    return f"""<article>
<h2 class="user" dir="auto">{_text(entry.name)}</h2>
<div class="verdict">
<p class="predicted">Predicted <b class="user">{_text(_joined(entry.predicted))}</b></p>
<p class="true">True class <b class="user">{_text(_joined(entry.true))}</b></p>
</div>
<div class="body"><div class="images">{images}</div><ol class="top">{bars}</ol></div>
{note}
</article>"""


def _figure(caption: str, name: str, image: bytes) -> str:
    text = _text(caption)
    return (
        f'<figure><img src="{data_uri(image, _mime(image))}" alt="{text}, {_text(name)}">'
        f'<figcaption class="user" dir="auto">{text}</figcaption></figure>'
    )


def _mime(image: bytes) -> str:
    mime = next((mime for start, mime in _SIGNATURES.items() if image.startswith(start)), None)
    if mime is None:
        raise ValueError("a picture of the report is neither PNG nor JPEG")
    return mime


def _bar(name: str, probability: float, entry: ReportEntry) -> str:
    role = "true" if name in _names(entry.true) else ""
    if name in _names(entry.predicted):
        role = "predicted" if not role else "true"
    width = 100 * min(max(probability, 0.0), 1.0)
    return (
        f'<li class="{role}"><span><span class="user" dir="auto">{_text(name)}</span>'
        f'<span>{_percent(probability)}</span></span><i style="width:{width:.1f}%"></i></li>'
    )


def _names(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _joined(names: str | Sequence[str]) -> str:
    return " | ".join(_names(names)) or "none"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}&nbsp;%"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _text(text: str) -> str:
    """The text for use in an element or a quoted attribute, and sure to be valid UTF-8."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)
