"""The recent scalars of a training, kept in its checkpoints."""

from detectron2.engine import HookBase

_WINDOW = 20  # over which Detectron2's writers take the median, and how often they write


class SmoothingHook(HookBase):
    """Keeps the last values of each smoothed scalar, so that the first lines that a resumed
    training writes to ``metrics.json`` are those of an uninterrupted one.
    """

    def __init__(self):
        self._recent: dict[str, list[tuple[float, int]]] = {}

    def state_dict(self):
        storage = getattr(self.trainer, "storage", None)
        if storage is None:  # saved before the training has begun
            return self._recent
        hints = storage.smoothing_hints()
        return {
            name: [
                (float(value), int(iteration)) for value, iteration in history.values()[-_WINDOW:]
            ]
            for name, history in storage.histories().items()
            if hints[name]
        }

    def load_state_dict(self, state_dict):
        self._recent = state_dict

    def before_train(self):
        storage = self.trainer.storage
        for name, values in self._recent.items():
            for value, storage.iter in values:
                storage.put_scalar(name, value)
        storage.iter = self.trainer.start_iter
