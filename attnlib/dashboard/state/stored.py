"""What ties one visitor's session to its workspace in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attnlib.dashboard.state.runner import Work
from attnlib.store import Case, Comment, Head, Setup


@dataclass
class Stored:
    """What of a session is in the store.

    Attributes:
        id: of the workspace; "" while there is nothing to keep.
        name: that it is to have, or has.
        head: as it was last seen; None before it is made.
        seen: the revision up to which others' changes were taken over.
        files: by the session's number of a file, its id in the store.
        ids: the same also of files that are only about to be stored.
        cases: what is stored of each image, by its name.
        comments: by the name of the image.
        unsent: comments that are not stored yet, by their id: the image's name, and the text.
        setup: that is stored; None before it is.
        work: what is being saved.
        failure: why the last saving failed; "" where it did not.
        tried: when that was, on a clock that never goes back.
        news: what others did meanwhile, in words, not yet shown.
    """

    id: str = ""
    name: str = ""
    head: Head | None = None
    seen: int = 0
    files: dict[int, str] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    comments: Mapping[str, tuple[Comment, ...]] = field(default_factory=dict)
    unsent: dict[str, tuple[str, str]] = field(default_factory=dict)
    setup: Setup | None = None
    work: Work[None] | None = None
    failure: str = ""
    tried: float = 0.0
    news: list[str] = field(default_factory=list)

    @property
    def saving(self) -> bool:
        """Whether something is being written now."""
        return self.work is not None and not self.work.finished

    @property
    def writes(self) -> bool:
        """Whether what this person does is kept; a viewer's changes stay in the tab."""
        return self.head is None or self.head.role != "viewer"
