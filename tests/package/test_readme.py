"""Every claim of the README: asked here, or by the test that is named beside it."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

import attnlib
from attnlib import settings
from attnlib.__main__ import main
from attnlib.methods import METHODS
from attnlib.model import demo
from docs import make_methods, make_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
COMMANDS = [line for kind, code in BLOCKS if kind == "sh" for line in code.strip().splitlines()]

# A sentence of the README, and where it is asked.
CLAIMS = {
    "on an embedded model that learned something wrong on purpose": (
        "dashboard/test_second_demo.py::test_a_visit_begins_with_it"
    ),
    "without a network": "dashboard/test_app.py::test_every_source_opens_without_a_network",
    "a zip whose folders are labels": (
        "dashboard/test_app.py::test_a_zip_of_folders_labels_its_images"
    ),
    "a CSV with `filename,label`": (
        "dashboard/test_app.py::test_own_images_with_labels_from_a_table"
    ),
    "a checkpoint of your own with its classes": (
        "dashboard/test_app.py::test_a_local_checkpoint_with_its_own_classes"
    ),
    "installs the library, the command `attnlib` and the app": (
        "package/test_wheel.py::test_the_command_works_from_the_wheel"
    ),
    "`attnlib dashboard`\nstarts it": (
        "package/test_wheel.py::test_the_dashboard_starts_from_the_wheel"
    ),
    "Every picture and every chart can be downloaded with its numbers": (
        "dashboard/test_downloads.py::test_what_is_shown_can_be_taken_along"
    ),
    "whoever opens the link sees the same": (
        "dashboard/test_links.py::test_a_link_opens_what_its_sender_saw"
    ),
    "or is told what of it is not there": (
        "dashboard/test_bad_links.py::test_junk_falls_back_in_one_sentence"
    ),
    "The weights are those that the model used": (
        "capture/test_capture.py::test_exact_against_the_unfused_model_and_output_unchanged"
    ),
    "torchvision and": "capture/test_capture.py::test_torchvision",
    "`transformers` ViTs": "capture/test_capture.py::test_transformers",
    "Every capture carries a self-check": "capture/test_capture.py::test_the_check_can_fail",
    "no attribute is ever set on the model": (
        "capture/test_capture.py::test_nothing_is_left_on_the_module"
    ),
    "any number of threads share one": (
        "capture/test_capture.py::test_sixteen_threads_on_one_model"
    ),
    "Maps are drawn on the crop the model saw": (
        "model/test_vit.py::test_crop_is_the_input_of_the_model"
    ),
    "The query that stands for the prediction is always named": (
        "model/test_vit.py::test_a_model_that_averages_names_its_query"
    ),
    "In a notebook a map, a record and a model show\nthemselves": (
        "package/test_documents.py::test_a_map_shows_itself"
    ),
    "no code of it runs": (
        "model/test_checkpoints_hostile.py::test_unknown_calls_are_neither_made_nor_imported"
    ),
    "the state dict nested,\nunder any prefix, with an average beside it": (
        "model/test_checkpoints.py::test_the_weights_are_found_wherever_they_are"
    ),
    "each compared\nwith the original": (
        "model/test_checkpoint_kinds.py::test_what_is_loaded_is_the_original"
    ),
    "the architecture is found too": (
        "model/test_architectures.py::test_auto_takes_the_only_one_that_fits"
    ),
    "a pickle that would run code is refused": (
        "model/test_model.py::test_bad_checkpoints_are_refused_with_a_reason"
    ),
    "OpenID Connect provider nobody sees anything before signing in": (
        "signin/test_in_browser.py::test_nothing_is_shown_before_the_sign_in"
    ),
    "roles come from its groups": "signin/test_in_browser.py::test_groups_give_roles",
    "every address opens cold": (
        "dashboard/test_browser.py::test_an_address_opens_as_the_first_visit_to_a_fresh_server"
    ),
    "results are shared only between\npeople who hold the same image": (
        "dashboard/test_shared_results.py::test_a_visitors_file_names_do_not_reach_another"
    ),
    "files of the server's own machine cannot be named": (
        "dashboard/test_app.py::test_local_files_are_not_opened_for_visitors_of_a_host"
    ),
    "forward passes at a time; the others queue": (
        "capture/test_admission.py::test_so_many_places"
    ),
    "least recently used out first": (
        "dashboard/test_cache.py::test_follows_least_recently_used_within_its_limit"
    ),
    "how to add a method in one file": (
        "package/test_documents.py::test_a_method_is_one_file_as_the_guide_says"
    ),
}


def block(kind: str, word: str) -> str:
    """The one code block of this kind that has a word in it."""
    (found,) = (code for name, code in BLOCKS if name == kind and word in code)
    return str(found)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a first line."""
    table = re.search(rf"\| {heading} \|.*?\n((?:\|.*\n)+)", README)
    assert table is not None
    lines = table.group(1).strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_stands_in_the_readme_and_has_its_test(claim: str) -> None:
    assert claim in README
    file, _, name = CLAIMS[claim].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_link_leads_to_a_file() -> None:
    places = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(places) >= 7
    assert [place for place in places if "://" not in place and not (ROOT / place).exists()] == []


def test_every_file_and_module_of_a_command_is_there() -> None:
    assert len(COMMANDS) >= 5
    for line in COMMANDS:
        for command in line.split("&&"):
            words = shlex.split(command)
            for option, value in itertools.pairwise(words):
                if option == "-m":
                    assert importlib.util.find_spec(value), command
                if option == "-r":
                    assert (ROOT / value).is_file(), command
            if "streamlit" in words:
                assert (ROOT / words[words.index("run") + 1]).is_file()


def test_the_oldest_python_is_that_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (version,) = set(re.findall(r"With Python (\d\.\d+)", README))
    assert package["project"]["requires-python"] == f">={version}"


def test_the_commands_of_the_library_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("image.png").write_bytes(demo.images()[3].data)
    for one in demo.images()[:6]:
        place = Path("data/val") / one.label / one.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.data)
    assert main(["audit", "data/val", "--out", "audits/old"]) == 0
    commands = [shlex.split(line, comments=True) for line in COMMANDS if line[:8] == "attnlib "]
    assert {line[1] for line in commands} == {"cost", "explain", "diagnose", "audit", "compare"}
    capsys.readouterr()
    for line in commands:
        assert main(line[1:]) == 0, line
        assert capsys.readouterr().out
    assert Path("overlay.png").is_file()
    assert json.loads(Path("findings.json").read_text())["images"] == 80


def test_the_table_of_pages_is_what_the_app_declares() -> None:
    tree = ast.parse((ROOT / "attnlib/dashboard/main.py").read_text())
    titles = [
        keyword.value.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "Page"
        for keyword in call.keywords
        if keyword.arg == "title" and isinstance(keyword.value, ast.Constant)
    ]
    assert [cells[0] for cells in rows("page")] == titles
    assert len(titles) == len(list(ROOT.glob("pages/*/page.py")))


def test_the_table_of_methods_is_the_registry_and_what_was_measured() -> None:
    assert make_methods.written(README) == README
    part = README.partition("<!-- methods -->")[2].partition("<!-- /methods -->")[0]
    rows = {line.split("`")[1]: line.split(" | ") for line in part.splitlines() if "`" in line}
    assert list(rows) == list(METHODS)
    for name, cells in rows.items():
        method = METHODS[name]
        assert len(cells) == len(make_methods.COLUMNS)
        assert ("patent" in cells[-1]) == method.patented == name.endswith(("lrp", "lrp_contrast"))
        assert method.caution in cells[-2] or cells[-2] == "–"
        if "against" not in method.options and name != "object_map":
            assert 0.2 < float(cells[5]) < 0.6 and 0.4 < float(cells[6]) < 0.8


def test_the_table_of_settings_is_what_the_code_reads() -> None:
    assert make_settings.written(README) == README
    told = [cells[0].strip("`") for cells in rows("variable")]
    assert told == [settings.variable(name) for name in settings.Settings.model_fields]
    # Nothing else asks the environment for a setting.
    for path in ROOT.glob("attnlib/**/*.py"):
        if path.name != "settings.py":
            assert not re.search(r"""environ\b.*ATTNLIB_|getenv\(["']ATTNLIB_""", path.read_text())


def test_the_example_of_the_library_gives_what_its_comments_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("image.png").write_bytes(demo.images()[3].data)
    space: dict[str, Any] = {}
    exec(block("python", "attnlib.load"), space)
    record, matrix, heat = space["record"], space["matrix"], space["heat"]
    layers, heads, tokens = 6, 4, 65
    assert record.probabilities.shape == (10,)
    assert record.cls_rows.shape == (layers, heads, 64)
    assert record.rollout.shape == (tokens,)
    assert record.query == "CLS token"
    assert record.self_check < 1e-4
    assert not record.cls_rows.flags.writeable
    assert matrix.shape == (heads, tokens, tokens)
    assert matrix[:, 0, 1:] == pytest.approx(record.cls_rows[3], abs=1e-6)
    assert heat.values.shape == (8, 8)
    assert heat.query == "CLS token"
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in printed] == list(METHODS)


def test_the_example_of_a_checkpoint_loads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"\n\n((?:    .*\n)+)", README)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    module = timm.create_model("vit_small_patch16_224", num_classes=2)
    save_file(module.state_dict(), "runs/best.safetensors")
    space: dict[str, Any] = {"attnlib": attnlib}
    exec(re.sub("(?m)^    ", "", code.group(1)), space)
    assert space["vit"].class_names == ("cat", "dog")
    torch.testing.assert_close(
        space["vit"].module.head.weight.cpu(), module.head.weight, rtol=0, atol=0
    )
