"""How values stand in an address: each kind reads and writes its own texts, and refuses the rest.

An address is typed, cut and passed on by people: whatever is read here is judged like an upload.
A codec also judges values that are remembered, by writing and reading them again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

# Longer texts of one value are refused unread.
LONGEST = 1000
# What every browser holds exactly.
LARGEST = 2**53 - 1
_WHOLE = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_SIDES = re.compile(r"([1-9][0-9]{0,3})(?:\s*[x×]\s*([1-9][0-9]{0,3}))?", re.ASCII | re.IGNORECASE)
_DECIMAL = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?", re.ASCII)


class Codec(Protocol[T]):
    """One kind of value.

    ``read`` raises ValueError with the words for what is allowed ("one of a, b").
    """

    def read(self, texts: list[str]) -> T: ...

    def write(self, value: T) -> list[str]: ...


def alone(texts: list[str], allowed: str) -> str:
    """The one text of a parameter.

    Raises:
        ValueError: it is given several times, or too long.
    """
    if len(texts) != 1 or len(texts[0]) > LONGEST:
        raise ValueError(allowed)
    return texts[0]


@dataclass(frozen=True)
class OneOf(Generic[T]):
    """One of a few options, by their code; by their title too where that names only one.

    Attributes:
        code: what an option is called in an address.
    """

    options: Sequence[T]
    title: Callable[[T], str] = str
    code: Callable[[T], str] = lambda option: "none" if option is None else str(option)

    @property
    def allowed(self) -> str:
        """In words."""
        if len(self.options) > 8:
            return f"one of the {len(self.options)} there are"
        return "one of " + ", ".join(self.code(option) for option in self.options)

    def read(self, texts: list[str]) -> T:
        """The option.

        Raises:
            ValueError: there is no such option.
        """
        text = alone(texts, self.allowed)
        for name in (self.code, self.title):
            found = [option for option in self.options if name(option) == text]
            if len(found) == 1:
                return found[0]
        raise ValueError(self.allowed)

    def write(self, value: T) -> list[str]:
        """Its code."""
        return [self.code(value)]


@dataclass(frozen=True)
class SomeOf(Generic[T]):
    """Some of a few options, each once: a parameter for each, an empty one for none."""

    one: OneOf[T]

    def read(self, texts: list[str]) -> list[T]:
        """The options in the order in which they were chosen.

        Raises:
            ValueError: one of them does not exist, or stands there twice.
        """
        if texts == [""]:
            return []
        if len(texts) > len(self.one.options):
            raise ValueError(self.one.allowed)
        found = [self.one.read([text]) for text in texts]
        if any(option in found[:place] for place, option in enumerate(found)):
            raise ValueError(f"{self.one.allowed}, each once")
        return found

    def write(self, value: Sequence[T]) -> list[str]:
        """Their codes."""
        return [self.one.code(option) for option in value] or [""]


@dataclass(frozen=True)
class Number:
    """A number within bounds.

    Attributes:
        low, high: inclusive; whole numbers if both are.
        blank: whether there may be none, written as an empty text.
    """

    low: float = -LARGEST
    high: float = LARGEST
    blank: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def allowed(self) -> str:
        """In words."""
        kind = "a whole number" if self.whole else "a number"
        if abs(self.low) == abs(self.high) == LARGEST:
            return kind
        return f"{kind} from {self.low:g} to {self.high:g}"

    def read(self, texts: list[str]) -> Any:
        """The number, or None for an empty text where that is allowed.

        Raises:
            ValueError: it is none, or out of bounds.
        """
        text = alone(texts, self.allowed)
        if self.blank and not text:
            return None
        if not (_WHOLE if self.whole else _DECIMAL).fullmatch(text):
            raise ValueError(self.allowed)
        value = int(text) if self.whole else float(text)
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise ValueError(self.allowed)
        return value

    def write(self, value: float | None) -> list[str]:
        """Its digits, so that reading gives exactly the same number."""
        return ["" if value is None else repr(value)]


class YesNo:
    """On or off."""

    def read(self, texts: list[str]) -> bool:
        """Whether it is on.

        Raises:
            ValueError: neither ``yes`` nor ``no``.
        """
        text = alone(texts, "yes or no")
        if text not in ("yes", "no"):
            raise ValueError("yes or no")
        return text == "yes"

    def write(self, value: bool) -> list[str]:
        """``yes`` or ``no``."""
        return ["yes" if value else "no"]


@dataclass(frozen=True)
class Text:
    """A line of text that can be printed.

    Attributes:
        fits: judges it further; raises ValueError with what is allowed.
    """

    fits: Callable[[str], None] = lambda text: None

    def read(self, texts: list[str]) -> str:
        """The text.

        Raises:
            ValueError: it is too long or has characters that cannot be shown.
        """
        allowed = f"a line of at most {LONGEST} characters"
        text = alone(texts, allowed)
        if not text.isprintable():
            raise ValueError(allowed)
        self.fits(text)
        return text

    def write(self, value: str) -> list[str]:
        """As it is."""
        return [value]


class Decimals:
    """Some numbers in one line, between commas or spaces, as they were typed."""

    allowed = "numbers between commas, as 0.485, 0.456, 0.406"

    def read(self, texts: list[str]) -> str:
        """The line.

        Raises:
            ValueError: it is no such line.
        """
        text = alone(texts, self.allowed)
        self.numbers(text)
        return text

    def write(self, value: str) -> list[str]:
        """As it is."""
        return [value]

    def numbers(self, text: str) -> tuple[float, ...]:
        """The numbers of a line.

        Raises:
            ValueError: it is no such line.
        """
        parts = text.replace(",", " ").split()
        if not parts or not all(map(_DECIMAL.fullmatch, parts)):
            raise ValueError(self.allowed)
        return tuple(map(float, parts))


class Size:
    """The size of a picture, ``384`` or ``224x448`` (height x width) pixels, or nothing."""

    allowed = "a size in pixels, as 384 or 224x448"

    def read(self, texts: list[str]) -> str:
        """The text.

        Raises:
            ValueError: it is no size.
        """
        text = alone(texts, self.allowed).strip()
        self.sides(text)
        return text

    def write(self, value: str) -> list[str]:
        """As it is."""
        return [value]

    def sides(self, text: str) -> tuple[int, int] | None:
        """``(height, width)``; None for an empty text.

        Raises:
            ValueError: it is no size.
        """
        if not text.strip():
            return None
        found = _SIDES.fullmatch(text.strip())
        if found is None:
            raise ValueError(self.allowed)
        return int(found[1]), int(found[2] or found[1])
