"""Weights that must all be there: a teacher half loaded teaches noise, and a student half loaded
is evaluated as noise.
"""

import logging

from torch import nn

from .checkpoint import TADistillCheckpointer, describe_mismatch, fetched
from .errors import ConfigError

# Parts of which a model that fits the file has all.
_ALL_OR_NOTHING = ("backbone.", "proposal_generator.", "roi_heads.box_")
# BatchNorm's counter of training batches plays no part in inference.
COUNTERS = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")


class _StrictCheckpointer(TADistillCheckpointer):
    """Remembers what did not fit instead of only logging it."""

    def _load_model(self, checkpoint):
        self.incompatible = super()._load_model(checkpoint)
        return self.incompatible


def load_all_weights(model: nn.Module, path: str, key: str, advice: str = "") -> None:
    """Loads ``path`` into ``model``; every parameter and buffer must come from the file.

    Reads what Detectron2 reads (``.pth``, the zoo's ``.pkl``, URLs, ``detectron2://``) and
    ``.safetensors``, without running anything that is in the file. And the other way round: the
    model must have every tensor of the file's backbone, RPN and box head, or the weights of a
    deeper backbone would fill a shallower one. Other keys of the file (a mask head, adapters, an
    optimizer) are ignored with a line in the log.

    Args:
        model: a Detectron2 model.
        path: the file's path or URL.
        key: the config key that named the file, for the error messages.
        advice: what to do about a file that does not fit, for the error message.

    Raises:
        ConfigError: naming ``key``, the file and the keys, if the file is missing or
            unreadable or could run code (``UnsafeFileError``), or lacks a tensor of the model,
            or has it in another shape or with values that are not finite, or has more of the
            same parts than the model.
    """
    checkpointer = _StrictCheckpointer(model, save_to_disk=False)
    try:
        fetched(path)
        checkpointer.load(path, checkpointables=[])
    except ConfigError as e:
        raise type(e)(f"{key}: {e}") from e
    except Exception as e:  # what Detectron2's conversions make of names and shapes of others
        raise ConfigError(
            f"{key}: {path} is not a checkpoint of Detectron2: {type(e).__name__}: {e}"
        ) from e

    problems = _problems(checkpointer.incompatible)
    if problems:
        raise ConfigError(
            f"{key}: {path} does not fill the model that its config describes.\n"
            f"{problems}\n{advice}"
        )
    broken = not_finite(model)
    if broken:
        raise ConfigError(
            f"{key}: {path} has values that are not finite in {len(broken)} tensors, as a training "
            f"that has diverged leaves them: {', '.join(broken[:8])}"
        )
    logging.getLogger(__name__).info(
        "%s: all %d tensors of the model come from %s", key, len(model.state_dict()), path
    )


def not_finite(model: nn.Module) -> list[str]:
    """The names of a model's tensors that NaN is in, or infinity. Of its buffers only the norms'
    statistics must be finite: others may mean it, as a mask of logits does.
    """
    may_be_infinite = {n for n, _ in model.named_buffers() if not n.endswith(_STATISTICS)}
    return [
        name
        for name, tensor in model.state_dict().items()
        if (tensor.isnan() if name in may_be_infinite else ~tensor.isfinite()).any()
    ]


def _problems(incompatible) -> str:
    misshapen = {name for name, *_ in incompatible.incorrect_shapes}
    return describe_mismatch(
        surplus=[
            k
            for k in incompatible.unexpected_keys
            if k.startswith(_ALL_OR_NOTHING) and not k.endswith(COUNTERS)
        ],
        missing=[
            k for k in incompatible.missing_keys if not k.endswith(COUNTERS) and k not in misshapen
        ],
        shapes=incompatible.incorrect_shapes,
    )
