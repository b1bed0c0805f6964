"""From a number to a colour: scales and palettes.

A `Scale` says which numbers the two ends of a palette stand for. It is chosen once and given to
every picture that is compared, so that one colour means one number on all of them.

A palette is a table of 256 sRGB colours, interpolated linearly between typed anchor colours.

Sequential palettes grow steadily lighter, so that a larger value always looks larger, also in
grey print: plasma, viridis, inferno and magma (N. Smith and S. van der Walt, 2015, CC0), and
cividis, which looks nearly the same with and without red-green colour blindness (Nuñez, Anderton
and Renslow, PLOS ONE 2018). Plasma comes first: none of its colours is near black or white, so
that they are told from a picture without colour that lies under them.

Diverging palettes take their hues from ColorBrewer's RdBu and PRGn (C. Brewer), both safe for
colour-blind readers. Their lightness is evened out here: two values of equal size and opposite
sign are equally dark, which the originals miss by up to 12 units of CIE L*.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEQUENTIAL: tuple[str, ...] = ("plasma", "viridis", "inferno", "magma", "cividis", "grey")
DIVERGING: tuple[str, ...] = ("blue-red", "purple-green")

_SIZE = 256

# A spread below this share of the largest value is what half precision cannot resolve (its
# epsilon is 2^-10): stretching it over a whole palette would draw rounding noise as a pattern.
_FLAT = 1e-3

# Sequential: every fifth entry, 0, 5, ..., 255. Diverging: each half in equal steps, 0 to 127 and
# 128 to 255, so that both entries beside the centre are exactly neutral.
_ANCHORS = {
    "viridis": """
    440154 46085c 471063 481769 481d6f 482475 472a7a 46307e 453781 433d84 414287 3f4889 3d4e8a
    3a538b 38598c 355e8d 33638d 31688e 2e6d8e 2c718e 2a768e 297b8e 27808e 25848e 23898e 218e8d
    20928c 1f978b 1e9c89 1fa188 21a585 24aa83 28ae80 2eb37c 35b779 3dbc74 46c06f 50c46a 5ac864
    65cb5e 70cf57 7cd250 89d548 95d840 a2da37 b0dd2f bddf26 cae11f d8e219 e5e419 f1e51d fde725""",
    "plasma": """
    0d0887 1b068d 260591 2f0596 38049a 41049d 4903a0 5102a3 5901a5 6100a7 6900a8 7100a8 7801a8
    8004a8 8707a6 8e0ca4 9511a1 9c179e a21d9a a82296 ae2892 b42e8d ba3388 bf3984 c43e7f c9447a
    cd4a76 d24f71 d6556d da5b69 de6164 e26660 e66c5c e97257 ed7953 f07f4f f3854b f58c46 f79342
    f99a3e fba139 fca835 fdaf31 feb72d febe2a fdc627 fcce25 fbd724 f8df25 f6e826 f3f027 f0f921""",
    "inferno": """
    000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c
    59106e 61136e 69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557
    bf3952 c63d4d cc4248 d34743 d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b
    fa9407 fb9d07 fca60c fcb014 fbba1f fac42a f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4""",
    "magma": """
    000004 02020b 050416 090720 0e0b2b 140e36 1a1042 21114e 29115a 311165 390f6e 420f75 4a1079
    52137c 5a167e 621980 6a1c81 721f81 792282 812581 892881 912b81 992d80 a1307e aa337d b2357b
    ba3878 c23b75 ca3e72 d2426f d9466b e04c67 e75263 ec5860 f1605d f4695c f7725c f97b5d fb8560
    fc8e64 fd9869 fea16e feaa74 feb47b febd82 fec68a fecf92 fed89a fde2a3 fdebac fcf4b6 fcfdbf""",
    "cividis": """
    00224e 002656 002a5f 002d68 003070 083370 163770 203a6f 273e6e 2e416d 34456c 3a486c 3f4c6c
    444f6c 49536c 4e566c 535a6d 575d6d 5c616e 60646f 656870 696b71 6d6f72 727274 767676 7a7a78
    7e7d78 838179 888578 8d8878 928c78 969077 9b9476 a09875 a59c74 aaa073 afa471 b5a86f baac6d
    bfb06b c4b468 c9b965 cfbd62 d4c15f dac65b dfca57 e5cf52 ead34c f0d846 f6dd3f fce236 fee838""",
    "grey": "000000 ffffff",
    "blue-red": """
    053061 0a3f77 0f4f8c 155ea2 206cac 2c7ab3 3989bc 4e99c4 67a8cd 80b8d6 97c6dd acd1e4 c0dceb
    d3e6f0 dfecf2 ebf1f5 f7f7f7
    f7f7f7 f9eee8 fbe6d9 fdddca fcceb7 fabfa2 f8ae8d f29b7b e9866b e0715a d65b4d cd4643 c23138
    b31f2e 9a1529 800b24 67001f""",
    "purple-green": """
    4e1058 601e6b 712a7d 83378f 8f4b9d 9a60a9 a476b5 b088c1 bd99cc caaad8 d5b9e1 dec5e6 e7d2eb
    efddf0 f2e6f3 f4eef5 f7f7f7
    f7f7f7 ebf2e9 dfeedc d4e9ce c3e1bd b1d8ab 9ecf99 89c386 71b572 59a75f 42984e 2d8740 157633
    016529 005522 00461b 003614""",
}


@cache
def lookup(name: str) -> NDArray[np.uint8]:
    """The colours of a palette, lowest value first.

    Returns:
        `(256, 3)` uint8, sRGB, read-only; the same array on every call.

    Raises:
        ValueError: no palette has this name.
    """
    if name not in _ANCHORS:
        known = ", ".join((*SEQUENTIAL, *DIVERGING))
        raise ValueError(f"unknown colour palette {name!r}; known: {known}")
    colours = _ANCHORS[name].split()
    anchors = np.frombuffer(bytes.fromhex("".join(colours)), dtype=np.uint8).reshape(-1, 3)
    if name in DIVERGING:
        half = len(anchors) // 2
        middle = _SIZE // 2
        low = np.linspace(0, middle - 1, half)
        high = np.linspace(middle, _SIZE - 1, half)
        positions = np.concatenate([low, high])
    else:
        positions = np.linspace(0, _SIZE - 1, len(anchors))
    entries = np.arange(_SIZE)
    channels = [np.interp(entries, positions, anchors[:, channel]) for channel in range(3)]
    table = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    table.setflags(write=False)
    return table


@dataclass(frozen=True)
class Scale:
    """What the two ends of a palette stand for.

    A value `v` is read as `v * factor`, in the unit that `label` names; `low` and `high` are in
    that unit. `mark` is a reading worth a tick between them: 0 on a signed scale, 1 (what each
    patch gets if all get the same) on a scale in multiples of uniform.

    `log` spaces readings by their ratio: half is as far from 1 as double is, on the other side.

    Raises:
        ValueError: `low`, `high` or `factor` is not finite, `low` is not below `high`, or not
            above 0 on a scale of ratios.
    """

    low: float
    high: float
    signed: bool
    label: str
    factor: float = 1.0
    mark: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.low, self.high, self.factor))):
            raise ValueError("the ends and the factor of a scale must be finite")
        if not self.low < self.high:
            raise ValueError(f"a scale needs low < high, not {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a scale of ratios begins above 0, not at {self.low}")

    @classmethod
    def around_uniform(cls, values: ArrayLike, count: int, high: float | None = None) -> "Scale":
        """Multiples of the uniform share by their ratio to it, from 1/`high` to `high`.

        Its palette is diverging with 1 in its neutral middle: a uniform map has no colour, and
        half of uniform is as blue as double is red. Readings beyond an end have its colour, 0
        among them.

        Args:
            values, count, high: as for :meth:`times_uniform`, with the same default.

        Raises:
            ValueError: as :meth:`times_uniform`.
        """
        linear = cls.times_uniform(values, count, high)
        return replace(linear, low=1 / linear.high, signed=True, log=True)

    @classmethod
    def times_uniform(cls, values: ArrayLike, count: int, high: float | None = None) -> "Scale":
        """Shares of attention as multiples of the uniform share: a reading of 1 means 1/count.

        The scale runs from 0 to `high`. By default that is the round number (2, 3, 4, 5, 6, 8
        10, 15 or one of these times a power of ten) next above the largest reading, at least 2:
        a uniform map is then one flat colour in the middle.

        Args:
            values: any shape, at least 0, the values of all maps that are drawn on this scale.
            count: how many tokens the attention is shared among, N.
            high: the upper end, in multiples of uniform; larger readings are clipped to it.

        Raises:
            ValueError: a value is negative or not finite, or `count` is below 1.
        """
        if count < 1:
            raise ValueError(f"attention is shared among at least one token, not {count}")
        shares = finite(values)
        if shares.min() < 0:
            raise ValueError("shares of attention cannot be negative")
        top = _round_up(float(shares.max()) * count) if high is None else high
        return cls(
            0.0, top, False, "\N{MULTIPLICATION SIGN} uniform", factor=float(count), mark=1.0
        )

    @classmethod
    def shared(cls, maps: Sequence[ArrayLike], signed: bool = False, label: str = "") -> "Scale":
        """One scale for all of `maps` (any shapes): 0 to the largest value, or ± the largest size.

        `signed` is a property of the method, not of the numbers at hand, hence not guessed.

        Raises:
            ValueError: no map, a value that is not finite, or a negative one with `signed` False.
        """
        if not maps:
            raise ValueError("a shared scale needs at least one map")
        arrays = [finite(values) for values in maps]
        if not signed and min(float(values.min()) for values in arrays) < 0:
            raise ValueError("negative values need a signed scale")
        top = max(float(np.abs(values).max()) for values in arrays) or 1.0
        return cls(-top if signed else 0.0, top, signed, label, mark=0.0 if signed else None)

    @classmethod
    def per_image(cls, values: ArrayLike, label: str = "") -> "Scale":
        """The smallest to the largest value of one map. Not comparable between pictures.

        A map whose spread is below 0.1 % of its largest size counts as constant and is put in
        the middle of the scale, so that rounding noise is not drawn as a pattern.

        Raises:
            ValueError: a value is not finite.
        """
        array = finite(values)
        low, high = float(array.min()), float(array.max())
        size = max(abs(low), abs(high))
        if high - low <= _FLAT * size:
            middle, half = (low + high) / 2, size or 1.0
            low, high = middle - half, middle + half
        return cls(low, high, False, label)

    @property
    def colormap(self) -> str:
        """The palette that suits the scale: zero is in the middle of a signed one."""
        return DIVERGING[0] if self.signed else SEQUENTIAL[0]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Position on the scale (0 to 1) and text of each tick, from low to high."""
        readings = [self.low, self.high]
        if self.mark is not None and self.low < self.mark < self.high:
            readings.insert(1, self.mark)
        return [(float(self.position(r)), f"{r:.3g}") for r in readings]

    def position(self, readings: ArrayLike) -> NDArray[np.float64]:
        """Where readings (any shape) lie, 0 at `low` and 1 at `high`; others are clipped."""
        low, high = self.low, self.high
        within = np.clip(np.asarray(readings, np.float64), low, high)
        if self.log:
            return np.asarray(np.log(within / low) / math.log(high / low))
        return np.asarray((within - low) / (high - low))


def normalise(values: ArrayLike, scale: Scale) -> NDArray[np.float64]:
    """Positions on the scale: `(rows, cols)` in [0, 1], clipped at both ends.

    Raises:
        ValueError: a value is not finite.
    """
    return scale.position(finite(values) * scale.factor)


def entries(positions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The palette entry, 0 to 255, nearest to each position in [0, 1]; any shape."""
    # The middle of the scale lies between two entries. Leaning to the upper one, by far less
    # than is visible, keeps rounding errors from scattering a constant map over both.
    return np.floor(positions * (_SIZE - 1) + 0.55).astype(np.uint8)


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """The values as float64, any shape.

    Raises:
        ValueError: there are none, or one is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError("a map must have values, none of them NaN or infinite")
    return array


def _round_up(value: float) -> float:
    if value <= 2:
        return 2.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)
