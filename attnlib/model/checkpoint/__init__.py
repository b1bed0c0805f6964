"""Checkpoints as training writes them: read without running code, fitted to a module.

Another kind of file (a folder of Hugging Face, an adapter) joins here by giving a
:class:`Weights`: tensors under whatever names, and what the file says about itself.
"""

from attnlib.model.checkpoint.fit import fit as fit
from attnlib.model.checkpoint.weights import StateDict as StateDict
from attnlib.model.checkpoint.weights import Weights as Weights
from attnlib.model.checkpoint.weights import read as read
