"""One forward pass and exactly what its attention was."""

from attnlib.capture.call import AttentionCall as AttentionCall
from attnlib.capture.mode import Capture as Capture
