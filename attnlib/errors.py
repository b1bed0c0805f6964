"""Errors whose message is written for the person on screen: what was wrong, and what to do."""


class AttnlibError(Exception):
    """Base of every error that attnlib raises on purpose."""


def brief(error: BaseException, most: int = 300) -> str:
    """What another library says of its error, in one line of at most ``most`` characters.

    It may say a whole file, or a page.
    """
    words = " ".join(str(error).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


class ImageError(AttnlibError):
    """A file cannot be used as an image."""


class LabelError(AttnlibError):
    """A label table or a list of class names cannot be used."""


class ModelError(AttnlibError):
    """A model cannot be loaded or does not have the structure that was asked for."""


class TooLarge(ModelError):
    """A model would take more memory than there is for it.

    Attributes:
        needed: bytes that it would take.
    """

    def __init__(self, message: str, needed: int) -> None:
        super().__init__(message)
        self.needed = needed


class NotFinite(ModelError):
    """A model returned values that are not finite."""


class CaptureError(AttnlibError):
    """Attention cannot be captured from a forward pass."""


class OutOfMemory(AttnlibError):
    """A computation needs more memory than the device has."""


class SettingsError(AttnlibError):
    """An environment variable says what cannot be: one sentence for each."""


class SignInError(AttnlibError):
    """Nobody is signed in, or somebody who may not use this server."""


class StoreError(AttnlibError):
    """Something cannot be stored, or not be read back."""


class NotFound(StoreError):
    """What was asked for is not there, or not for this person to see."""


class Forbidden(StoreError):
    """A person may see this, and not do that."""
