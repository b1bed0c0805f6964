"""Every text that a page hands to Streamlit is written here, is a number, or went through a door.

Streamlit reads labels, help, captions, messages and options as Markdown. This follows, in the
source, what each of those is made of. What it cannot follow is said in ALLOWED, with a reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for place in (ROOT / "attnlib" / "dashboard", ROOT / "pages", ROOT / "app.py")
    for path in ([place] if place.suffix else place.rglob("*.py"))
    # The gate answers by HTTP before there is a page.
    if "gate" not in path.parts
)
# By the name of the call, which positional arguments are texts.
BODY = {
    name: (0,)
    for name in (
        *("markdown", "caption", "warning", "error", "info", "success", "toast", "write", "title"),
        *("header", "subheader", "button", "checkbox", "toggle", "selectbox", "radio", "pills"),
        *("multiselect", "segmented_control", "slider", "select_slider", "number_input", "badge"),
        *("text_input", "text_area", "file_uploader", "download_button", "popover", "expander"),
        *("tabs", "spinner", "status", "dialog", "form_submit_button", "page_link", "link_button"),
        *("latex", "progress_text", "html", "menu_button"),
    )
} | {"metric": (0, 1, 2), "progress": (1,), "image": (1,)}
# Of this project's own controls: the label stands after the key.
CONTROLS = {
    name: (1,)
    for name in (
        *("choice", "maybe", "segments", "pill", "several", "slider", "steps", "number", "text"),
        *("toggle", "drawer"),
    )
}
KEYWORDS = {"label", "help", "title", "body", "text", "caption", "delta"}
# Their options are Markdown; those of lists that open are plain text, which escapes would spoil.
CHIPS = {"pills", "segmented_control", "radio", "segments", "pill"}
LISTS = {"choice", "maybe", "several", "steps"}
# What makes a text safe, or gives a number or a text of ours.
DOORS = {"literal", "words", "escape"}
PLAIN = {"len", "round", "int", "float", "abs", "sum", "min", "max", "counted", "shown_number"}


def _name(call: ast.Call) -> tuple[str, str]:
    """(what it is called on, what is called)."""
    if isinstance(call.func, ast.Attribute):
        return ast.unparse(call.func.value), call.func.attr
    return "", call.func.id if isinstance(call.func, ast.Name) else ""


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text())
        self.parent = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }

    def texts(self) -> Iterator[tuple[ast.Call, ast.expr]]:
        for call in ast.walk(self.tree):
            if not isinstance(call, ast.Call):
                continue
            on, name = _name(call)
            table = CONTROLS if on.endswith("controls") else BODY
            if not on or name not in table or on.startswith(("np", "audit", "ast", "re")):
                continue
            for place in table[name]:
                if place < len(call.args):
                    yield call, call.args[place]
            for keyword in call.keywords:
                plain = keyword.arg == "title" and name in LISTS
                if (keyword.arg in KEYWORDS and not plain) or (
                    keyword.arg in ("format_func", "options") and name in CHIPS
                ):
                    yield call, keyword.value

    def unsafe(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
        """The parts of a text that came from nobody knows where."""
        if isinstance(node, ast.Constant):
            return
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                yield from self.unsafe(part, seen)
        elif isinstance(node, ast.FormattedValue):
            spec = ast.unparse(node.format_spec)[2:-1] if node.format_spec else ""
            if not spec or not spec.rstrip("}").endswith(("d", "f", "g", "e", "%", ",", "n")):
                yield from self.unsafe(node.value, seen)
        elif isinstance(node, ast.BinOp):
            yield from self.unsafe(node.left, seen)
            yield from self.unsafe(node.right, seen)
        elif isinstance(node, ast.IfExp):
            yield from self.unsafe(node.body, seen)
            yield from self.unsafe(node.orelse, seen)
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                yield from self.unsafe(value, seen)
        elif isinstance(node, ast.Compare | ast.UnaryOp):
            return
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                yield from self.unsafe(item, seen)
        elif isinstance(node, ast.Dict):
            for value in node.values:
                yield from self.unsafe(value, seen)
        elif isinstance(node, ast.GeneratorExp | ast.ListComp):
            yield from self.unsafe(node.elt, seen)
        elif isinstance(node, ast.Starred | ast.Subscript):
            yield from self.unsafe(node.value, seen)
        elif isinstance(node, ast.Call):
            _, name = _name(node)
            if name in DOORS | PLAIN:
                return
            if name == "join":
                for arg in node.args:
                    yield from self.unsafe(arg, seen)
            elif name in ("strip", "rstrip", "lower", "capitalize", "replace", "format"):
                yield from self.unsafe(node.func.value, seen)  # type: ignore[attr-defined]
            else:
                found = self._made_by(name)
                if found is None or name in seen:
                    yield node
                else:
                    for value in found:
                        yield from self.unsafe(value, seen | {name})
        elif isinstance(node, ast.Name):
            if node.id in seen:
                return
            found = list(self._assigned(node))
            if not found:
                yield node
            for value in found:
                yield from self.unsafe(value, seen | {node.id})
        elif isinstance(node, ast.Lambda):
            yield from self.unsafe(node.body, seen)
        else:
            yield node

    def _made_by(self, name: str) -> list[ast.expr] | None:
        """What a function of this file returns."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
        return None

    def _assigned(self, name: ast.Name) -> Iterator[ast.expr]:
        """What a name was given in its function, or at the top of the file."""
        scope: ast.AST = name
        while scope is not self.tree:
            scope = self.parent[scope]
            if isinstance(scope, ast.FunctionDef | ast.Lambda | ast.Module):
                found = list(_given(scope, name.id))
                if found:
                    yield from found
                    return


def _given(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for one, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(one, ast.Name) and one.id == name:
                            yield value
        elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
            if isinstance(node.target, ast.Name) and node.target.id == name:
                yield node.value
        elif isinstance(node, ast.NamedExpr) and node.target.id == name:
            yield node.value


@cache
def every() -> tuple[_File, ...]:
    return tuple(map(_File, FILES))


def found() -> Iterator[str]:
    for file in every():
        place = file.path.relative_to(ROOT).as_posix().removeprefix("attnlib/dashboard/")
        for _, text in file.texts():
            for part in file.unsafe(text):
                yield f"{place}: {ast.unparse(part)}"


# What is not followed, by how it is written, and why it holds no text of a stranger.
ALLOWED = {
    # Numbers, shapes and counts that the library measured.
    r"[\w.\[\]0]+\.(images|size|layer|layers|shape|heads|head|done|total|tokens|depth|dim|batch|count"
    r"|dimension|repeats|patch|patches|prefix_tokens|head_width|mlp_hidden|attention_per_head|number"
    r"|needed|wrong|some|some_by_strangers|head_number|source_layer|max_jobs|max_models|dtype|precision|device|macs_\w+)",
    # Words of the library's own, of a fixed list each.
    r"(METHODS\[\w+\]|method|number|kind|problem|way|option|shown|space\.vit\.outputs|outputs|one"
    r"|found|steps\[now\]|steps\[i\]|seen|timed|prediction|record|space\.vit\.layout|vit\.layout|page"
    r"|vit\.outputs|look)\.(title|description|source|note|name|mean|what|meaning|remedy|accuracy|of"
    r"|assumption|formula|memory_of|explanation|quantity|outcome|query|head_name|query_name|asker"
    r"|numbers)",
    r"[A-Z_]+(\.\w+)*(\.__getitem__|\.get\(.*\))?|comparison\.TITLES|audit\.HEADINGS|str\.capitalize",
    r"(words\.\w+|names\.name|token_name|layers|verdict\.(word|confidence)|reasons\.no_rows|str)"
    r"\((?!error).*\)",
    # What these say is escaped where it is made.
    r"chosen\.absent\(space\)|softmax\.arithmetic\(.*\)|projection\.missing\(method\)",
    # What a part is given by a page: judged where the page gives it by name.
    r"label|help|title|text|note|of|empty|first|second|name|side|key|where|words|noun|button|kind",
    # Counts and shapes under names of their own.
    r"count|rows|cols|heads|queries|keys|width|part|category|typical|looks|function|token|value",
    # Numbers made in the same file.
    r"shown\((one|two)\)|getattr\(now\.macs, name\)|size(\(.*\))?|done|total|bool\(noun\)|head"
    r"|found\.count\(.*\)|space\.vit\.outputs\.shown\(.*\)|controls\.(number|choice|segments)\(.*\)"
    r"|address\.value\(.*label='Step'\)|head\.created|comment\.at",
    # Of lists that are written in the same file, or names of tokens.
    r"outcome|allowed|self\._title|titles\.get\(name, name\)|pattern\(.*\)\.name|place\.token"
    r"|startup\.PAGES|data_uri\(.*\)",
    # Words and numbers of the library's own.
    r"caution|objects\.facts\(\)|word|step\.(title|words)|PROOFS\[title\]\.words",
    # Sentences of counts alone.
    r"strangers\.(NONE|sentence\(found\))",
    # Escaped where they are made.
    r"problem|asked|said\((before|now), .*\)",
    # Counts, roles of columns by our own names, the formats that are known, a table that is made.
    r"like|unlike|role|results\.KNOWN|make\(\)",
    # Whether there is one; it is not shown by itself.
    r"_memory\(\).*|st\.session_state\..*|\{_code\(kept\): kept .*\}|space",
}


@pytest.mark.parametrize("door", ["literal(name)", "markup.words(name)", "html.escape(name)"])
def test_a_text_of_a_stranger_is_found_unless_it_went_through_a_door(door: str) -> None:
    file = _File.__new__(_File)
    source = (
        f"def f(name):\n st.caption(f'{{sample.name}}')\n st.caption(f'x {{{door}}} {{n:.2f}}')"
    )
    file.tree = ast.parse(source)
    file.parent = {c: node for node in ast.walk(file.tree) for c in ast.iter_child_nodes(node)}
    unsafe = [ast.unparse(part) for _, text in file.texts() for part in file.unsafe(text)]
    assert unsafe == ["sample.name"] and not _allowed("sample.name")


@pytest.mark.parametrize(
    "text",
    ["str(error)", "choice.title", "visitor.choice.title", "sample.name", "space.class_name(i)",
     "refusal.reason", "job.failure", "space.vit.name", "visitor.model_problem", "remark.note"],
)  # fmt: skip
def test_the_list_lets_no_stranger_in(text: str) -> None:
    assert not _allowed(text)


def _allowed(part: str) -> bool:
    return any(re.fullmatch(pattern, part) for pattern in ALLOWED)


def test_every_text_on_a_page_is_ours_or_went_through_the_door() -> None:
    assert sorted({line for line in found() if not _allowed(line.split(": ", 1)[1])}) == []
