"""The config keys of TADistill: all of them, and only here."""

import math

from detectron2.config import CfgNode as CN


def add_tadistill_config(cfg: CN) -> None:
    """Add ``MODEL.TADISTILL``, ``MODEL.TIMM`` and ``SOLVER.OPTIMIZER`` to a config, in place.

    Nothing changes until ``MODEL.META_ARCHITECTURE`` is ``"TADistillRCNN"``. Everything else
    under ``MODEL`` describes the student. The symbols are those of projects/TADistill/README.md.

    Args:
        cfg: a config made by ``detectron2.config.get_cfg()``.
    """
    _C = cfg
    set_before = _C.MODEL.get("TADISTILL", CN())  # two projects may both add these: values stay
    _C.MODEL.TADISTILL = CN()

    # False: no teacher is built, and a step is bitwise that of GeneralizedRCNN (the baseline).
    _C.MODEL.TADISTILL.ENABLED = True

    # T, the frozen teacher: any trained GeneralizedRCNN.
    _C.MODEL.TADISTILL.TEACHER = CN()
    # A YAML file, or a name in the model zoo ("COCO-Detection/faster_rcnn_R_101_FPN_3x.yaml").
    _C.MODEL.TADISTILL.TEACHER.CONFIG_FILE = ""
    # Its weights: a path, a URL or detectron2://…. Empty: the zoo's, if CONFIG_FILE is a zoo name.
    _C.MODEL.TADISTILL.TEACHER.WEIGHTS = ""
    # Overrides of the teacher's config: ["MODEL.ROI_HEADS.NUM_CLASSES", 20, …].
    _C.MODEL.TADISTILL.TEACHER.OPTS = []
    # What makes it faster. BatchNorm folded into the convolutions (of Detectron2's own layers): the
    # same numbers but for rounding.
    _C.MODEL.TADISTILL.TEACHER.FOLD_BN = False
    # "bfloat16" or "float16": its convolutions and fully connected layers; what it answers is
    # float32. "float32": even in mixed precision (SOLVER.AMP). Empty: as the student. On a CPU only
    # bfloat16 pays, and only where the processor has it (avx512_bf16, amx).
    _C.MODEL.TADISTILL.TEACHER.DTYPE = ""
    # Channels as the last dimension in memory, which convolutions of half precision prefer.
    _C.MODEL.TADISTILL.TEACHER.CHANNELS_LAST = False
    # Its backbone through torch.compile, for any image size. Needs a C++ compiler.
    _C.MODEL.TADISTILL.TEACHER.COMPILE = False
    # Its backbone on a CUDA stream of its own, beside the student's. For GPUs only.
    _C.MODEL.TADISTILL.TEACHER.STREAM = False

    # True: at iteration 0, after MODEL.WEIGHTS, the student's FPN, RPN and ROI heads become the
    # teacher's, layer by layer, where shapes agree. Read by TADistillTrainer; with another trainer,
    # call tadistill.inherit_from_teacher(model).
    _C.MODEL.TADISTILL.INHERIT = False

    # Whose RPN proposals both box heads answer for: "union", "student" or "teacher". With the
    # teacher's alone students ended below their baselines in two of three settings
    # (results/choices.md).
    _C.MODEL.TADISTILL.PROPOSALS = CN()
    _C.MODEL.TADISTILL.PROPOSALS.SOURCE = "union"
    # In the union, a teacher's proposal is a near-duplicate if its IoU with a student's is above.
    _C.MODEL.TADISTILL.PROPOSALS.NMS_THRESH = 0.9

    # L_feat, on the feature maps.
    _C.MODEL.TADISTILL.FEATURE = CN()
    _C.MODEL.TADISTILL.FEATURE.WEIGHT = 1.0  # lambda_f; 0.0 switches the term off
    # M, where the maps are compared: "gaussian" over each ground-truth box, or as others do: 1 in
    # each "box", 1 where an "anchor" fits a box (FGFI), 1 on the "whole" map.
    _C.MODEL.TADISTILL.FEATURE.MASK = "gaussian"
    _C.MODEL.TADISTILL.FEATURE.SIGMA = math.sqrt(2.0)  # sigma, the width of the Gaussian
    # The student's levels to compare (names of backbone outputs). Empty: all of them.
    _C.MODEL.TADISTILL.FEATURE.LEVELS = []
    # "instance": a box counts only where the teacher's head does better on it. "none": always.
    _C.MODEL.TADISTILL.FEATURE.GATE = "none"

    # L_cls, on the class logits of the box heads.
    _C.MODEL.TADISTILL.LOGIT = CN()
    _C.MODEL.TADISTILL.LOGIT.WEIGHT = 1.0  # lambda_c
    _C.MODEL.TADISTILL.LOGIT.TEMPERATURE = 1.0  # tau
    # g_i = 1 where the teacher gives y_i more probability than the "student" does; or "none".
    _C.MODEL.TADISTILL.LOGIT.GATE = "student"
    _C.MODEL.TADISTILL.LOGIT.REGION = "all"  # the sampled proposals summed over; or "foreground"
    _C.MODEL.TADISTILL.LOGIT.LOSS = "kl"  # or "bce"

    # L_box, on the box deltas of the box heads.
    _C.MODEL.TADISTILL.BOX = CN()
    _C.MODEL.TADISTILL.BOX.WEIGHT = 1.0  # lambda_b
    # g_i = 1 where the teacher's box overlaps the ground truth more than the "student"'s box
    # does, or more than the "proposal" does; or "none".
    _C.MODEL.TADISTILL.BOX.GATE = "student"

    # s_x, by which the terms are multiplied beside lambda_x: their gradients on the student's
    # feature maps become these fractions f_x of the detection losses' gradient there. False: the
    # lambdas alone, as in the paper.
    _C.MODEL.TADISTILL.BALANCE = CN()
    _C.MODEL.TADISTILL.BALANCE.ENABLED = True
    _C.MODEL.TADISTILL.BALANCE.FEATURE = 0.5  # f of L_feat
    _C.MODEL.TADISTILL.BALANCE.LOGIT = 0.5  # f of L_cls
    _C.MODEL.TADISTILL.BALANCE.BOX = 0.5  # f of L_box
    _C.MODEL.TADISTILL.BALANCE.PERIOD = 20  # iterations from one measurement to the next
    _C.MODEL.TADISTILL.BALANCE.MOMENTUM = 0.8  # of the average of log s_x over the measurements
    _C.MODEL.TADISTILL.BALANCE.LIMIT = [0.01, 100.0]  # the smallest and the largest s_x

    # w(t), set by DistillationDecayHook.
    _C.MODEL.TADISTILL.DECAY = CN()
    _C.MODEL.TADISTILL.DECAY.SCHEDULE = "linear"  # or "cosine", "step", "constant"
    # For "step": w is multiplied by GAMMA at each of these fractions of the training.
    _C.MODEL.TADISTILL.DECAY.STEPS = [0.6667, 0.8889]
    _C.MODEL.TADISTILL.DECAY.GAMMA = 0.1

    _keep(set_before, _C.MODEL.TADISTILL)

    # MODEL.BACKBONE.NAME "build_timm_fpn_backbone": a model of timm (which must be installed) with
    # a feature pyramid on MODEL.FPN.IN_FEATURES, its maps "stride4", "stride8", "stride16", ….
    others = _C.MODEL.get("TIMM", CN())  # the node of another project: its keys and values stay
    _C.MODEL.TIMM = CN()
    _C.MODEL.TIMM.NAME = "tf_efficientnet_lite0"  # any that timm.create_model(features_only) knows
    # Where training starts, if not from MODEL.WEIGHTS: a file with timm's names, or "timm" for its
    # own download. Not read where a checkpoint brings all weights (a teacher, --eval-only).
    _C.MODEL.TIMM.WEIGHTS = ""
    _C.MODEL.TIMM.NORM = "BN"  # what its BatchNorm becomes; or "FrozenBN", "SyncBN"
    _keep(others, _C.MODEL.TIMM)

    # "SGD" or "ADAMW", which small detectors from scratch want. Read by TADistillTrainer;
    # Detectron2's own trainer knows SGD alone, so that "ADAMW" is refused there. Other projects
    # have this key too.
    if "OPTIMIZER" not in _C.SOLVER:
        _C.SOLVER.OPTIMIZER = "SGD"


def _keep(values: CN, node: CN) -> None:
    """Puts ``values`` in their places in ``node``, whatever they are: who reads them will say."""
    for key, value in values.items():
        if isinstance(value, CN) and isinstance(node.get(key), CN):
            _keep(value, node[key])
        else:
            node[key] = value
