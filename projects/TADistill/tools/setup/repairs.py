"""What Detectron2 v0.6 (2021) needs changed to run, uncompiled, on today's Python stack.

Each :class:`Repair` replaces one piece of text in one file and says why. Nothing else in the
v0.6 sources is touched. A repair whose text is not found, or not found as often as expected, stops
the build: then the sources are not the ones that these repairs were written for.
"""

from dataclasses import dataclass
from pathlib import Path


class RepairError(Exception):
    """A repair does not fit the sources."""


@dataclass(frozen=True)
class Repair:
    """Replaces ``old`` by ``new`` in ``file``, where ``old`` must occur ``count`` times.

    Attributes:
        file: path inside the source tree, with forward slashes.
        old: the text to replace.
        new: the text to put there.
        reason: why v0.6 does not work (or warns at every use) without the change.
        count: how often ``old`` occurs in v0.6.
    """

    file: str
    old: str
    new: str
    reason: str
    count: int = 1

    def apply(self, root: Path) -> None:
        """Rewrites the file under ``root``.

        Raises:
            RepairError: the file is missing, or ``old`` is not in it ``count`` times.
        """
        path = root / self.file
        if not path.is_file():
            raise RepairError(f"{self.file} is not in the sources. It was to be repaired: {self}")
        text = path.read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != self.count:
            raise RepairError(
                f"{self.file}: expected {self.old!r} {self.count} time(s), found it {found} "
                f"time(s), so this repair does not apply: {self.reason}"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


# Stands in for the compiled module. It is not called `_C`, so that `from detectron2 import _C`
# still fails: other code asks that way whether Detectron2 was compiled.
NOT_COMPILED_FILE = "detectron2/_not_compiled.py"
NOT_COMPILED = '''\
"""Stands in for Detectron2's compiled extension, which this pure-Python build does not have."""


class _NotCompiled:
    def __getattr__(self, name):
        if name.startswith("__"):  # let copy, pickle and inspect ask their questions
            raise AttributeError(name)
        raise ImportError(
            f"'{name}' is an operation of Detectron2's compiled extension, and this is the "
            "pure-Python build of Detectron2 0.6, which has none (no rotated boxes, deformable "
            "convolution on GPU or with modulation, or fast COCO evaluation). Build Detectron2 "
            "from its official sources to use it."
        )


_C = _NotCompiled()
'''

_NO_EXTENSION = "The compiled extension is imported at once, though only some operations need it."
_NUMPY_ALIAS = "NumPy 1.24 removed its aliases of Python's own types."
_LOGGER_WARN = "Logger.warn is deprecated: it warns at every use and is to be removed from Python."
_LR_SCHEDULER = (
    "PyTorch 2.0 made LRScheduler the base class and left _LRScheduler as a subclass for old code. "
    "PyTorch's own schedulers are no longer instances of it."
)
_MESHGRID = "torch.meshgrid warns unless it is told its indexing ('ij' is what it has always done)."
_CUDA_AMP = "PyTorch 2.4 deprecated torch.cuda.amp in favour of torch.amp."


def _uncompiled(file: str) -> Repair:
    return Repair(
        file,
        "from detectron2 import _C\n",
        "from detectron2._not_compiled import _C\n",
        _NO_EXTENSION,
    )


def _numpy_alias(file: str, alias: str, count: int = 1) -> Repair:
    # The bracket that follows keeps np.int from matching np.int64.
    return Repair(file, f"np.{alias})", f"{alias})", _NUMPY_ALIAS, count)


def _logger_warn(file: str, count: int = 1) -> Repair:
    return Repair(file, "logger.warn(", "logger.warning(", _LOGGER_WARN, count)


REPAIRS = (
    # The compiled extension
    _uncompiled("detectron2/layers/deform_conv.py"),
    _uncompiled("detectron2/layers/rotated_boxes.py"),
    _uncompiled("detectron2/layers/roi_align_rotated.py"),
    _uncompiled("detectron2/evaluation/fast_eval_api.py"),
    Repair(
        "detectron2/layers/nms.py",
        "    return torch.ops.detectron2.nms_rotated(boxes, scores, iou_threshold)\n",
        "    from detectron2._not_compiled import _C\n\n"
        "    return _C.nms_rotated(boxes, scores, iou_threshold)\n",
        "Without the compiled extension PyTorch's own message does not say what is missing.",
    ),
    Repair(
        "detectron2/evaluation/coco_evaluation.py",
        "        self._use_fast_impl = use_fast_impl\n",
        "        if use_fast_impl:\n"
        "            self._logger.info(\n"
        '                "The fast COCO evaluation needs Detectron2\'s compiled extension. "\n'
        '                "Evaluating with pycocotools instead (same scores, slower)."\n'
        "            )\n"
        "        self._use_fast_impl = False\n",
        "COCOEvaluator asks by default for an evaluation that is in the compiled extension.",
    ),
    Repair(
        "detectron2/evaluation/coco_evaluation.py",
        "(COCOeval_opt if use_fast_impl else COCOeval)(",
        "COCOeval(",
        "Code that calls _evaluate_predictions_on_coco itself asks for the fast one too.",
    ),
    Repair(
        "detectron2/evaluation/coco_evaluation.py",
        "from detectron2.evaluation.fast_eval_api import COCOeval_opt\n",
        "",
        "Not used any more after the two repairs above.",
    ),
    # NumPy
    Repair("detectron2/data/build.py", "dtype=np.int", "dtype=int", _NUMPY_ALIAS, 2),
    _numpy_alias("detectron2/data/datasets/pascal_voc.py", "str"),
    _numpy_alias("detectron2/evaluation/pascal_voc_evaluation.py", "bool", 2),
    _numpy_alias("detectron2/evaluation/sem_seg_evaluation.py", "int", 2),
    _numpy_alias("detectron2/evaluation/sem_seg_evaluation.py", "float", 5),
    _numpy_alias("detectron2/structures/masks.py", "bool", 3),
    _numpy_alias("detectron2/utils/video_visualizer.py", "bool"),
    _numpy_alias("detectron2/utils/visualizer.py", "bool", 3),
    Repair(
        "detectron2/layers/mask_ops.py",
        "np.array(mask, copy=False)",
        "np.asarray(mask)",
        "In NumPy 2 copy=False means 'fail if a copy is needed', and from a PIL image it is.",
    ),
    # Pillow, matplotlib, setuptools
    Repair(
        "detectron2/data/transforms/transform.py",
        "Image.LINEAR",
        "Image.BILINEAR",
        "Pillow 10 removed the old name.",
    ),
    Repair(
        "detectron2/utils/visualizer.py",
        "        return modified_color\n",
        "        return tuple(np.clip(modified_color, 0.0, 1.0))\n",
        "Rounding can leave a channel just outside [0, 1], which matplotlib refuses.",
    ),
    Repair(
        "detectron2/model_zoo/model_zoo.py",
        "import pkg_resources\n",
        "",
        "setuptools 82 removed pkg_resources.",
    ),
    Repair(
        "detectron2/model_zoo/model_zoo.py",
        "    cfg_file = pkg_resources.resource_filename(\n"
        '        "detectron2.model_zoo", os.path.join("configs", config_path)\n'
        "    )\n",
        '    cfg_file = os.path.join(os.path.dirname(__file__), "configs", config_path)\n',
        "setuptools 82 removed pkg_resources. The configs lie beside this module.",
    ),
    # PyTorch
    Repair(
        "detectron2/modeling/anchor_generator.py",
        "torch.meshgrid(shifts_y, shifts_x)",
        'torch.meshgrid(shifts_y, shifts_x, indexing="ij")',
        _MESHGRID,
    ),
    Repair(
        "detectron2/engine/hooks.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        _LR_SCHEDULER,
        2,
    ),
    Repair(
        "detectron2/solver/lr_scheduler.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        _LR_SCHEDULER,
        4,
    ),
    Repair(
        "detectron2/solver/build.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        _LR_SCHEDULER,
    ),
    Repair(
        "detectron2/engine/train_loop.py",
        "            from torch.cuda.amp import GradScaler\n\n"
        "            grad_scaler = GradScaler()\n",
        "            from torch.amp import GradScaler\n\n"
        '            grad_scaler = GradScaler("cuda")\n',
        _CUDA_AMP,
    ),
    Repair(
        "detectron2/engine/train_loop.py",
        "        from torch.cuda.amp import autocast\n",
        "        from torch.amp import autocast\n",
        _CUDA_AMP,
    ),
    Repair(
        "detectron2/engine/train_loop.py",
        "        with autocast():\n",
        '        with autocast("cuda"):\n',
        _CUDA_AMP,
    ),
    Repair(
        "detectron2/export/__init__.py",
        "from .api import *\n",
        "try:\n    from .api import *\nexcept ImportError:  # no caffe2\n    pass\n",
        "PyTorch has dropped caffe2. Tracing and scripting do not need it.",
    ),
    # Python
    Repair(
        "detectron2/data/common.py",
        "self._rng.sample(self._fallback_candidates, k=1)",
        "self._rng.sample(list(self._fallback_candidates), k=1)",
        "Python 3.11 no longer samples from a set; a training image that is skipped ends here.",
    ),
    _logger_warn("detectron2/data/datasets/coco.py", 2),
    _logger_warn("detectron2/engine/defaults.py"),
    _logger_warn("detectron2/evaluation/coco_evaluation.py", 2),
    _logger_warn("detectron2/evaluation/lvis_evaluation.py", 2),
    _logger_warn("detectron2/evaluation/sem_seg_evaluation.py", 2),
    # The projects that are installed as detectron2.projects
    Repair(
        "projects/DeepLab/deeplab/build_solver.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        _LR_SCHEDULER,
    ),
    Repair(
        "projects/Panoptic-DeepLab/panoptic_deeplab/post_processing.py",
        "        torch.arange(width, dtype=offsets.dtype, device=offsets.device),\n",
        "        torch.arange(width, dtype=offsets.dtype, device=offsets.device),\n"
        '        indexing="ij",\n',
        _MESHGRID,
    ),
    Repair(
        "projects/DeepLab/deeplab/lr_scheduler.py",
        "torch.optim.lr_scheduler._LRScheduler",
        "torch.optim.lr_scheduler.LRScheduler",
        _LR_SCHEDULER,
    ),
)
