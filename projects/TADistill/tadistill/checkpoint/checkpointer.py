"""Detectron2's checkpointer, for files that nobody vouches for."""

from urllib.parse import parse_qs

from detectron2.checkpoint import DetectionCheckpointer

from ..errors import ConfigError
from ..tensor_names import named_as
from .reading import read_checkpoint


class TADistillCheckpointer(DetectionCheckpointer):
    """Reads by :func:`read_checkpoint`, where Detectron2 unpickles whatever a file holds."""

    # Detectron2 main keeps the address while it loads, for the query in it; v0.6 knows no queries.
    _parsed_url_during_load = None

    def load(self, path, *args, **kwargs):
        try:
            return super().load(path, *args, **kwargs)
        finally:  # main leaves it there after an error, and then loads nothing any more
            self._parsed_url_during_load = None

    def _load_model(self, checkpoint):
        # Of this model or of the other one all, or parts, may have been compiled.
        checkpoint["model"] = named_as(self.model, checkpoint["model"])
        return super()._load_model(checkpoint)

    def _load_file(self, filename):
        checkpoint = read_checkpoint(filename)
        if self._parsed_url_during_load:
            queries = parse_qs(self._parsed_url_during_load.query)
            if queries.pop("matching_heuristics", None) == ["True"]:
                checkpoint["matching_heuristics"] = True
            if queries:
                address = self._parsed_url_during_load.geturl()
                raise ConfigError(f"{address} asks for {queries}, which Detectron2 does not know")
        return checkpoint
