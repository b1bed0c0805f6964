"""A loaded model: its module, preprocessing, classes and tokens."""

from attnlib.model.load import load as load
from attnlib.model.load import model_names as model_names
from attnlib.model.vit import Vit as Vit
