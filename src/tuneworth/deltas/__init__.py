"""Deltas: what a trial changed, as safetensors plus a small JSON; saved here, loaded here, used here."""

from tuneworth.deltas.files import DeltaInfo, read_info, save_delta
from tuneworth.deltas.load import Predictor, load_delta

__all__ = ["DeltaInfo", "Predictor", "load_delta", "read_info", "save_delta"]
