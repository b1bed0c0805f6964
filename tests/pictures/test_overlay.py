"""Palettes, scales and pictures: what a colour means must be exact."""

import base64
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from attnlib.pictures import overlay
from attnlib.pictures.colormaps import DIVERGING, SEQUENTIAL, Scale, entries, lookup, normalise
from attnlib.pictures.layer import layer, muted, outline

Values = NDArray[np.float32]
UNIT = Scale(0.0, 1.0, False, "")

# Entries of the published palettes, none of them an anchor here.
PUBLISHED = {
    "viridis": {3: (69, 5, 89), 62: (60, 80, 139), 128: (33, 145, 140), 193: (96, 202, 96)},
    "plasma": {3: (22, 7, 138), 62: (123, 2, 168), 128: (204, 71, 120), 193: (249, 151, 63)},
    "inferno": {3: (1, 1, 8), 62: (84, 15, 109), 128: (188, 55, 84), 193: (250, 144, 8)},
    "magma": {62: (78, 17, 123), 128: (183, 55, 121), 193: (252, 138, 98), 252: (252, 247, 185)},
    "cividis": {3: (0, 37, 83), 62: (65, 77, 108), 128: (125, 124, 120), 193: (189, 174, 108)},
}

maps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(-100, 100, width=32),
)


def ramp(rows: int, cols: int) -> Values:
    return np.linspace(0, 1, rows * cols, dtype=np.float32).reshape(rows, cols)


def lightness(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE L*, 0 to 100, from the definition of sRGB."""
    c = colours / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    light: NDArray[np.float64] = np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)
    return light


def grey(picture: Image.Image, saturation: float) -> NDArray[np.float64]:
    """`saturate()` of CSS, from its matrix: ``(h, w, 3)``."""
    light = np.array([0.213, 0.715, 0.072])
    matrix = (1 - saturation) * np.tile(light, (3, 1)) + saturation * np.eye(3)
    return np.asarray(picture, np.float64) @ matrix.T


def lab(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB colours ``(n, 3)``, from the definitions."""
    c = colours / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (xyz * 24389 / 27 + 16) / 116)
    found: NDArray[np.float64] = np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )
    return found


class TestColormaps:
    @pytest.mark.parametrize("name", (*SEQUENTIAL, *DIVERGING))
    def test_a_table_is_complete_shared_and_read_only(self, name: str) -> None:
        table = lookup(name)
        assert table.shape == (256, 3)
        assert table.dtype == np.uint8
        assert table is lookup(name)
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0

    @pytest.mark.parametrize("name", SEQUENTIAL)
    def test_sequential_palettes_grow_lighter_evenly(self, name: str) -> None:
        light = lightness(lookup(name))
        # Eight bits per channel make single steps uneven by a rounding error of about 0.2.
        assert np.diff(light).min() > -0.1
        assert np.diff(light[::4]).min() > 0
        assert light[-1] - light[0] > 70

    @pytest.mark.parametrize("name", DIVERGING)
    def test_diverging_palettes_are_even_around_a_neutral_centre(self, name: str) -> None:
        table = lookup(name)
        light = lightness(table)
        assert np.abs(light - light[::-1]).max() < 0.6
        assert np.diff(light[:128]).min() > 0
        for centre in (127, 128):
            assert len(set(table[centre].tolist())) == 1
            assert light[centre] > 95

    def test_blue_is_negative_and_red_positive(self) -> None:
        table = lookup("blue-red").astype(int)
        assert table[30, 2] > table[30, 0]
        assert table[225, 0] > table[225, 2]

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_palettes_are_the_published_ones(self, name: str) -> None:
        table = lookup(name).astype(int)
        limit = 4 if name == "cividis" else 1
        for entry, colour in PUBLISHED[name].items():
            assert np.abs(table[entry] - colour).max() <= limit

    def test_unknown_name_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match=r"'jet'.*inferno"):
            lookup("jet")


class TestScale:
    def test_times_uniform_puts_a_uniform_map_in_the_middle(self) -> None:
        values = np.full((14, 14), 1 / 196, dtype=np.float32)
        scale = Scale.times_uniform(values, 196)
        assert (scale.low, scale.high, scale.mark) == (0.0, 2.0, 1.0)
        assert normalise(values, scale) == pytest.approx(0.5)

    @pytest.mark.parametrize(
        ("peak", "top"), [(0.5, 2), (2.0, 2), (2.1, 3), (8.5, 10), (11.0, 15), (79.0, 80)]
    )
    def test_times_uniform_takes_a_round_top(self, peak: float, top: float) -> None:
        assert Scale.times_uniform([[peak / 100]], 100).high == pytest.approx(top)

    def test_around_uniform_is_neutral_at_uniform_and_even_in_ratios(self) -> None:
        scale = Scale.around_uniform([[0.01, 0.071]], 100)
        assert (scale.low, scale.high, scale.mark) == (0.125, 8.0, 1.0)
        assert scale.colormap in DIVERGING
        shares = np.array([[0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.5]])
        # A third of the way from the middle for each factor of two, as 8 = 2 · 2 · 2.
        expected = [0, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1]
        assert normalise(shares, scale)[0] == pytest.approx(expected)
        assert scale.ticks == [(0.0, "0.125"), (pytest.approx(0.5), "1"), (1.0, "8")]
        with pytest.raises(ValueError, match="above 0"):
            Scale(0.0, 1.0, True, "", log=True)

    @given(st.floats(1e-3, 1.0), st.integers(1, 5000))
    def test_the_round_top_is_never_below_the_peak(self, share: float, count: int) -> None:
        top = Scale.times_uniform([[share]], count).high
        assert max(2, share * count) <= top <= max(2, 1.51 * share * count)

    def test_a_reading_is_the_share_times_the_count(self) -> None:
        scale = Scale.times_uniform([[0.0]], 196, high=4)
        readings = np.array([[1, 3, 4, 9]]) / 196
        assert normalise(readings, scale).tolist()[0] == pytest.approx([0.25, 0.75, 1, 1])

    def test_rounding_noise_of_a_uniform_map_stays_one_colour(self) -> None:
        noise = np.random.default_rng(0).normal(0, 1e-7, (14, 14))
        values = (1 / 196 + noise).astype(np.float32)
        for scale in (Scale.times_uniform(values, 196), Scale.per_image(values)):
            indices = entries(normalise(values, scale))
            assert set(indices.ravel().tolist()) == {128}

    def test_shared_covers_all_maps(self) -> None:
        a, b = np.array([[0.0, 0.5]]), np.array([[2.0, 1.0]])
        scale = Scale.shared([a, b])
        assert (scale.low, scale.high) == (0.0, 2.0)
        signed = Scale.shared([a, -b], signed=True)
        assert (signed.low, signed.high, signed.mark) == (-2.0, 2.0, 0.0)

    @given(maps)
    def test_signed_scales_are_symmetric(self, values: Values) -> None:
        scale = Scale.shared([values], signed=True)
        assert normalise(values, scale) == pytest.approx(1 - normalise(-values, scale))
        assert entries(normalise([[0.0]], scale)).item() == 128

    def test_per_image_stretches_to_both_ends(self) -> None:
        values = np.array([[3.0, 5.0, 4.0]])
        assert normalise(values, Scale.per_image(values)).tolist() == [[0.0, 1.0, 0.5]]

    @pytest.mark.parametrize("constant", [0.0, 1.0, -3.0, 1e-30])
    def test_constant_maps_are_drawn_flat(self, constant: float) -> None:
        values = np.full((3, 4), constant)
        assert (normalise(values, Scale.per_image(values)) == 0.5).all()
        assert np.ptp(normalise(values, Scale.shared([values], signed=True))) == 0

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_is_refused(self, bad: float) -> None:
        values = np.array([[0.0, bad]])
        for refused in (
            lambda: Scale.times_uniform(values, 2),
            lambda: Scale.shared([values]),
            lambda: Scale.per_image(values),
            lambda: normalise(values, UNIT),
            lambda: overlay.keep_top(values, 0.5),
            lambda: overlay.resize(values, (2, 2)),
            lambda: Scale(0.0, bad, False, ""),
        ):
            with pytest.raises(ValueError, match=r"finite|NaN"):
                refused()

    def test_impossible_scales_are_refused(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            Scale.shared([np.array([[-1.0]])])
        with pytest.raises(ValueError, match="negative"):
            Scale.times_uniform([[-0.1]], 10)
        with pytest.raises(ValueError, match="at least one map"):
            Scale.shared([])
        with pytest.raises(ValueError, match="at least one token"):
            Scale.times_uniform([[0.1]], 0)
        with pytest.raises(ValueError, match="low < high"):
            Scale(1.0, 1.0, False, "")

    def test_ticks_name_the_ends_and_the_mark(self) -> None:
        scale = Scale.times_uniform([[0.04]], 100)
        assert scale.ticks == [(0.0, "0"), (0.25, "1"), (1.0, "4")]
        assert UNIT.ticks == [(0.0, "0"), (1.0, "1")]

    def test_entries_are_the_nearest_ones(self) -> None:
        positions = np.linspace(0, 1, 2048)
        assert np.abs(entries(positions) - positions * 255).max() <= 0.55
        assert entries(np.array([0.0, 1.0])).tolist() == [0, 255]

    @given(maps)
    def test_normalise_stays_in_range_and_keeps_order(self, values: Values) -> None:
        positions = normalise(values, Scale(-10.0, 20.0, False, ""))
        assert ((positions >= 0) & (positions <= 1)).all()
        assert (np.diff(positions.ravel()[np.argsort(values, axis=None)]) >= 0).all()


class TestKeepTop:
    @given(maps, st.integers(0, 100))
    def test_exact_count_and_nothing_larger_left_out(self, values: Values, percent: int) -> None:
        mask = overlay.keep_top(values, percent / 100)
        assert mask.shape == values.shape
        assert mask.sum() == -(-percent * values.size // 100)
        if mask.any() and not mask.all():
            assert np.abs(values[mask]).min() >= np.abs(values[~mask]).max()

    def test_ties_go_to_the_first_patch(self) -> None:
        mask = overlay.keep_top(np.array([[1.0, -1.0], [1.0, 0.0]]), 0.5)
        assert mask.tolist() == [[True, True], [False, False]]
        values = np.random.default_rng(0).integers(0, 3, 196).astype(float)
        kept = np.flatnonzero(overlay.keep_top(values.reshape(14, 14), 0.1))
        assert kept.tolist() == np.flatnonzero(values == 2)[:20].tolist()

    @pytest.mark.parametrize(("fraction", "count"), [(0.07, 7), (0.071, 8), (0.28, 28), (1, 100)])
    def test_rounding_errors_keep_no_extra_patch(self, fraction: float, count: int) -> None:
        assert overlay.keep_top(ramp(10, 10), fraction).sum() == count

    def test_fraction_outside_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            overlay.keep_top(ramp(2, 2), 1.5)


class TestResize:
    def test_nearest_repeats_cells(self) -> None:
        values = ramp(3, 5)
        resized = overlay.resize(values, (20, 12))
        assert (resized == np.kron(values, np.ones((4, 4)))).all()

    @given(st.integers(1, 9), st.integers(1, 9), st.integers(9, 40), st.integers(9, 40))
    def test_nearest_cells_are_even_where_the_size_is_no_multiple(
        self, rows: int, cols: int, width: int, height: int
    ) -> None:
        resized = overlay.resize(np.arange(cols)[None].repeat(rows, 0), (width, height))
        assert resized.shape == (height, width)
        runs = np.bincount(resized[0].astype(int), minlength=cols)
        assert (np.diff(resized[0]) >= 0).all()
        assert runs.min() >= width // cols
        assert runs.max() <= -(-width // cols)

    @given(maps, st.integers(1, 40), st.integers(1, 40))
    def test_smooth_never_overshoots(self, values: Values, width: int, height: int) -> None:
        resized = overlay.resize(values, (width, height), "smooth")
        assert resized.shape == (height, width)
        assert resized.min() >= values.min()
        assert resized.max() <= values.max()

    def test_smooth_runs_between_the_cells(self) -> None:
        row = overlay.resize(np.array([[0.0, 1.0]]), (40, 1), "smooth")[0]
        assert (np.diff(row) >= 0).all()
        assert len(set(row.tolist())) > 10

    def test_bad_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="interpolation"):
            overlay.resize(ramp(2, 2), (4, 4), "cubic")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at least 1"):
            overlay.resize(ramp(2, 2), (0, 4))


class TestPictures:
    picture = Image.effect_mandelbrot((60, 40), (-2, -1, 1, 1), 50).convert("RGB")

    def test_a_uniform_map_is_one_flat_colour(self) -> None:
        values = np.full((14, 14), 1 / 196)
        picture = overlay.heat_image(values, Scale.times_uniform(values, 196), "viridis")
        assert (np.asarray(picture.convert("RGB")) == lookup("viridis")[128]).all()

    @pytest.mark.parametrize("fade", [True, False])
    @pytest.mark.parametrize("interpolation", ["nearest", "smooth"])
    def test_overlay_is_the_blend_by_its_definition(
        self, interpolation: overlay.Interpolation, fade: bool
    ) -> None:
        values = ramp(3, 7)
        drawn = overlay.overlay(
            self.picture, values, UNIT, "magma", 0.3, interpolation, size=(60, 40), fade=fade
        )
        cells = overlay.resize(values, (60, 40), interpolation)
        colours = lookup("magma")[entries(cells)]
        opacity = 0.3 * (cells[..., None] if fade else 1.0)
        expected = (1 - opacity) * grey(self.picture, 0.1) + opacity * colours
        assert drawn.mode == "RGB"
        assert np.abs(np.asarray(drawn) - expected).max() <= 2

    def test_zero_leaves_a_signed_map_and_the_largest_sizes_cover_alike(self) -> None:
        scale = Scale.shared([[[-2.0, 0.0, 2.0]]], signed=True)
        drawn = overlay.overlay(self.picture, [[-2.0, 0.0, 2.0]], scale, None, 1.0)
        found, plain = np.asarray(drawn, float), grey(self.picture, 0.1)
        assert np.abs(found[:, 20:40] - plain[:, 20:40]).max() <= 2
        assert (found[:, :20] == lookup("blue-red")[0]).all()
        assert (found[:, 40:] == lookup("blue-red")[255]).all()

    @pytest.mark.parametrize("colour", [(0, 220, 30), (230, 20, 20), (255, 255, 255), (0, 0, 0)])
    def test_colours_are_told_apart_on_any_photo(self, colour: tuple[int, int, int]) -> None:
        """The largest value from none, and from a half, by CIE76 in Lab; 2.3 is just noticeable."""
        photo = Image.new("RGB", (30, 10), colour)
        drawn = np.asarray(overlay.overlay(photo, [[0.0, 0.5, 1.0]], UNIT))[0, [5, 15, 25]]
        none, half, most = lab(drawn)
        for pair in ((none, most), (half, most), (none, half)):
            assert np.linalg.norm(pair[0] - pair[1]) > 20

    def test_opacity_runs_from_the_picture_to_the_map(self) -> None:
        plain = overlay.overlay(self.picture, ramp(2, 3), UNIT, opacity=0)
        assert plain.tobytes() == self.picture.tobytes()
        alone = overlay.heat_image(ramp(2, 3), UNIT, size=(60, 40)).convert("RGB")
        for options in ({"opacity": 1.0, "fade": False}, {"mode": "map"}):
            full = overlay.overlay(self.picture, ramp(2, 3), UNIT, **options)  # type: ignore[arg-type]
            assert full.tobytes() == alone.tobytes()
        off = overlay.overlay(self.picture, ramp(2, 3), UNIT, mode="off")
        assert off.tobytes() == self.picture.tobytes()
        with pytest.raises(ValueError, match="opacity"):
            overlay.overlay(self.picture, ramp(2, 3), UNIT, opacity=1.1)

    def test_an_outline_goes_round_the_strongest_patches_alone(self) -> None:
        values = np.zeros((4, 6))
        values[1:3, 2:5] = [[1, 2, 3], [6, 5, 4]]
        photo = Image.new("RGB", (240, 160), (90, 120, 40))
        drawn = overlay.overlay(photo, values, UNIT, keep=0.25, mode="outline")
        changed = (np.asarray(drawn) != np.asarray(photo)).any(-1)
        rows, cols = np.nonzero(changed)
        assert abs(rows.min() - 40) <= 4 and abs(rows.max() - 120) <= 4
        assert abs(cols.min() - 80) <= 4 and abs(cols.max() - 200) <= 4
        assert not changed[50:110, 90:190].any()

    @given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))))
    def test_an_outline_has_the_length_of_the_boundary(self, mask: NDArray[np.bool_]) -> None:
        """Each patch has four sides, and two neighbours share one that is no boundary."""
        edges = outline(mask)
        shared = (mask[1:] & mask[:-1]).sum() + (mask[:, 1:] & mask[:, :-1]).sum()
        assert len(edges) == len(set(edges)) == 4 * mask.sum() - 2 * shared

    def test_the_layer_is_what_the_overlay_blends(self) -> None:
        """The browser lays this over the picture."""
        values = np.linspace(0, 1, 6).reshape(2, 3)
        tiny = np.asarray(layer(values, UNIT, "viridis", 0.8))
        assert tiny.shape == (2, 3, 4)
        assert (tiny[..., :3] == lookup("viridis")[entries(values)]).all()
        assert np.abs(tiny[..., 3] / 255 - 0.8 * values).max() <= 0.5 / 255
        photo = Image.new("RGB", (30, 20), (10, 200, 70))
        by_hand = muted(photo)
        over = Image.fromarray(tiny).resize((30, 20), Image.Resampling.NEAREST)
        by_hand.paste(over.convert("RGB"), mask=over.getchannel("A"))
        drawn = overlay.overlay(photo, values, UNIT, "viridis", 0.8)
        assert drawn.tobytes() == by_hand.tobytes()

    @pytest.mark.parametrize("interpolation", ["nearest", "smooth"])
    def test_patches_not_kept_show_the_picture_dimmed(
        self, interpolation: overlay.Interpolation
    ) -> None:
        values = np.array([[0.0, 0.9], [0.1, 0.2]])
        drawn = overlay.overlay(self.picture, values, UNIT, interpolation=interpolation, keep=0.25)
        full = overlay.overlay(self.picture, values, UNIT, interpolation=interpolation)
        same = np.asarray(drawn) == np.asarray(full)
        assert same[:20, 30:].all()
        photo = grey(self.picture, 0.1)
        for part in (np.s_[20:], np.s_[:, :30]):
            assert np.abs(np.asarray(drawn)[part] - 0.4 * photo[part]).max() <= 2

    def test_signed_maps_take_a_diverging_palette_and_zero_is_neutral(self) -> None:
        scale = Scale.shared([[[-2.0, 0.0, 2.0]]], signed=True)
        drawn = overlay.heat_image([[-2.0, 0.0, 2.0]], scale, size=(3, 1)).convert("RGB")
        colours = [drawn.getpixel((x, 0)) for x in range(3)]
        table = lookup("blue-red")
        assert colours == [tuple(table[0]), tuple(table[128]), tuple(table[255])]

    def test_the_given_picture_is_not_changed_and_any_mode_will_do(self) -> None:
        before = self.picture.tobytes()
        overlay.overlay(self.picture, ramp(2, 2), UNIT, keep=0.5, size=(90, 50))
        overlay.mark_patch(self.picture, (2, 2), (0, 0))
        assert self.picture.tobytes() == before
        for mode in ("L", "RGBA", "P"):
            drawn = overlay.overlay(self.picture.convert(mode), ramp(2, 2), UNIT, size=(33, 21))
            assert (drawn.mode, drawn.size) == ("RGB", (33, 21))

    def test_enlarge_reaches_the_size_both_ways(self) -> None:
        flat = Image.new("RGB", (32, 32), (10, 200, 30))
        for size in ((224, 224), (7, 9), (32, 32)):
            enlarged = overlay.enlarge(flat, size)
            assert enlarged is not flat
            assert enlarged.size == size
            assert enlarged.getcolors() == [(size[0] * size[1], (10, 200, 30))]

    def test_legend_shows_the_palette_and_the_mark(self) -> None:
        bar = np.asarray(overlay.legend(UNIT, "viridis", 256, 3))
        assert (bar == lookup("viridis")[None]).all()
        marked = np.asarray(overlay.legend(Scale.times_uniform([[0.04]], 100), "viridis", 257, 3))
        assert (marked[:, 64] == lookup("viridis")[255]).all()
        assert (marked[:, 63] == lookup("viridis")[63]).all()

    def test_mark_patch_frames_exactly_one_cell(self) -> None:
        grid, patch = (3, 7), (1, 4)
        flat = Image.new("RGB", (60, 40), (90, 20, 20))
        marked = np.asarray(overlay.mark_patch(flat, grid, patch, width=1))
        one = np.zeros(grid)
        one[patch] = 1
        cell = overlay.resize(one, (60, 40)) == 1
        changed = (marked != (90, 20, 20)).any(axis=2)
        assert not (changed & ~cell).any()
        ys, xs = np.nonzero(cell)
        for y, x in ((ys[0], xs[0]), (ys[-1], xs[-1])):
            assert marked[y, x].tolist() == [255, 255, 255]
            assert marked[y, (xs[0] + xs[-1]) // 2].tolist() == [255, 255, 255]
        assert marked[ys[0] + 1, xs[0] + 1].tolist() == [0, 0, 0]
        assert not changed[ys[0] + 2, xs[0] + 2]

    @pytest.mark.parametrize("patch", [(-1, 0), (3, 0), (0, 7)])
    def test_a_patch_outside_is_refused(self, patch: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="outside"):
            overlay.mark_patch(self.picture, (3, 7), patch)

    def test_cells_smaller_than_the_frame_are_marked_all_the_same(self) -> None:
        marked = overlay.mark_patch(Image.new("RGB", (14, 14)), (14, 14), (3, 5), width=2)
        assert marked.getpixel((5, 3)) == (255, 255, 255)
        assert np.asarray(marked).any(axis=2).sum() == 1


class TestSprite:
    @settings(max_examples=40)
    @given(
        st.integers(1, 7),
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(1, 5),
        st.integers(1, 3),
        st.integers(0, 3),
    )
    def test_every_pixel_is_the_map_that_the_index_names(
        self, n: int, rows: int, cols: int, columns: int, cell: int, gap: int
    ) -> None:
        stack = np.linspace(0, 1, n * rows * cols).reshape(n, rows, cols)
        picture = overlay.sprite(stack, columns, cell, UNIT, "grey", gap)
        pixels = np.asarray(picture)
        seen = np.zeros(n, dtype=int)
        lines = -(-n // columns)
        assert picture.width == columns * (cols * cell + gap) - gap
        assert picture.height == lines * (rows * cell + gap) - gap
        for y, x in np.ndindex(pixels.shape):
            index = overlay.sprite_index(x, y, (n, rows, cols), columns, cell, gap)
            if index is None:
                assert pixels[y, x] == 0
                continue
            seen[index] += 1
            left = (cols * cell + gap) * (index % columns)
            top = (rows * cell + gap) * (index // columns)
            value = stack[index, (y - top) // cell, (x - left) // cell]
            assert pixels[y, x] == max(1, entries(value))
        assert (seen == rows * cols * cell * cell).all()

    def test_outside_belongs_to_no_map(self) -> None:
        for x, y in ((-1, 0), (-3, 0), (0, -1), (0, -3), (99, 0), (0, 99)):
            assert overlay.sprite_index(x, y, (4, 2, 2), 2, 5, 1) is None

    def test_gaps_are_transparent_in_a_png_and_grey_elsewhere(self) -> None:
        picture = overlay.sprite(np.zeros((2, 2, 2)), 2, 3, UNIT, gap=1)
        stored = Image.open(io.BytesIO(overlay.png_bytes(picture))).convert("RGBA")
        assert np.asarray(stored)[0, 6, 3] == 0
        assert stored.getpixel((5, 0)) == (*lookup(SEQUENTIAL[0])[1], 255)
        assert picture.convert("RGB").getpixel((6, 0)) == (128, 128, 128)

    def test_bad_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="n, rows, cols"):
            overlay.sprite(ramp(2, 2), 1, 1, UNIT)
        with pytest.raises(ValueError, match="columns"):
            overlay.sprite(np.zeros((1, 2, 2)), 0, 1, UNIT)


class TestEncoding:
    def test_png_is_lossless_and_jpeg_is_close(self) -> None:
        picture = overlay.overlay(TestPictures.picture, ramp(2, 3), UNIT)
        png = Image.open(io.BytesIO(overlay.png_bytes(picture)))
        assert png.tobytes() == picture.tobytes()
        # An edge between two colours of like lightness, off the grid that JPEG could halve.
        cells = np.full((32, 32, 3), (200, 30, 60), dtype=np.uint8)
        cells[:, 13:] = (30, 90, 200)
        stored = Image.open(io.BytesIO(overlay.jpeg_bytes(Image.fromarray(cells))))
        assert np.abs(np.asarray(stored, int) - cells).max() <= 25

    def test_data_uri_holds_the_bytes(self) -> None:
        head, content = overlay.data_uri(b"\x00\xff", "image/png").split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(content) == b"\x00\xff"
