"""Small changes of the opened image, against passes of the model itself, on a grid of 4 x 6."""

from __future__ import annotations

import numpy as np
import torch
from streamlit.testing.v1 import AppTest

from attnlib.diagnosis.changes import changes
from attnlib.diagnosis.fragile import as_seen
from attnlib.diagnosis.unusual import distances
from tests.dashboard.driving import finish, path, text
from tests.dashboard.library import Library
from tests.dashboard.screen import as_read


def test_each_change_has_the_models_answer(oblong: AppTest, library: Library) -> None:
    name = library.wrong[3]
    oblong.session_state["image"] = name
    page = finish(oblong.switch_page(path("prediction_debugging")).run())
    next(b for b in page.button if b.label.startswith("Try small changes")).click().run()
    finish(page)
    (table,) = (t.value for t in page.dataframe if "strength" in t.value)
    vit = library.vit
    image = as_seen(vit, library.images[name])
    before, true = library.predicted[name], library.true[name]
    tried = changes(image)
    assert table["turned"].is_monotonic_decreasing
    table = table.set_index(["change", "strength"])
    table = table.loc[[(change.kind, change.strength) for change in tried]]
    with torch.no_grad():
        pixels = torch.cat([vit.pixels(change.of(image)) for change in tried])
        said = vit.module(pixels).double().softmax(-1).numpy()
    np.testing.assert_allclose(table["predicted before"], said[:, before], atol=1e-5)
    np.testing.assert_allclose(table["true class"], said[:, true], atol=1e-5)
    now = said.argmax(axis=1)
    assert table["prediction"].tolist() == [vit.class_names[index] for index in now]
    assert table["turned"].tolist() == (now != before).tolist()
    shown = as_read(text(page))
    assert f"{(now != before).sum()} of {len(tried)} changes turn the prediction" in shown
    assert ("Repaired by:" in shown) == (now == true).any()
    # Labels are the classes of the demo; each image is compared with the others.
    names = library.names
    far = distances(
        np.stack([library.records[n].embedding for n in names]).astype(np.float64),
        np.array([library.true[n] for n in names]),
    )
    share = float((far <= far[names.index(name)]).mean())
    assert f"as far out as those of {share:.0%} of these images" in shown
