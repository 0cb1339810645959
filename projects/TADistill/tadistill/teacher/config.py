"""From ``MODEL.TADISTILL.TEACHER`` to the teacher's own config and the place of its weights."""

from detectron2 import model_zoo
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils.file_io import PathManager

from ..architecture import is_distilled, own_inference
from ..config import add_tadistill_config
from ..errors import ConfigError
from ..merging import is_address, merge_file, merge_opts

KEY = "MODEL.TADISTILL.TEACHER"


def teacher_config(cfg: CfgNode) -> CfgNode:
    """The config that ``CONFIG_FILE`` and ``OPTS`` describe, on the student's device.

    The file may come from another project: keys that Detectron2 does not know are kept. It and
    its ``_BASE_`` are plain YAML on this machine, so they cannot run code. A student of an earlier
    distillation may teach: its ``TADistillRCNN`` is a plain ``GeneralizedRCNN`` then.

    Raises:
        ConfigError: naming the config key, if there is no such file or it cannot be read.
    """
    node = cfg.MODEL.TADISTILL.TEACHER
    teacher_cfg = get_cfg()
    add_tadistill_config(teacher_cfg)
    teacher_cfg.set_new_allowed(True)
    path = _config_path(node.CONFIG_FILE)
    merge_file(teacher_cfg, path, f"{KEY}.CONFIG_FILE")
    merge_opts(teacher_cfg, node.OPTS, f"{KEY}.OPTS")

    if is_distilled(teacher_cfg):
        _check_preprocessing(teacher_cfg.MODEL.META_ARCHITECTURE)
        teacher_cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    teacher_cfg.MODEL.DEVICE = cfg.MODEL.DEVICE
    teacher_cfg.freeze()
    return teacher_cfg


def _check_preprocessing(name: str) -> None:
    if "preprocess_image" in own_inference(META_ARCH_REGISTRY.get(name)):
        raise ConfigError(
            f"{KEY}.CONFIG_FILE describes a {name}, a class below TADistillRCNN with a "
            "preprocess_image of its own, which the GeneralizedRCNN that teaches in its "
            "place would not have. Name a class below GeneralizedRCNN that has it: "
            f"{KEY}.OPTS \"['MODEL.META_ARCHITECTURE', '…']\""
        )


def teacher_weights(cfg: CfgNode) -> str:
    """Where the teacher's weights are: ``WEIGHTS``, or the zoo's for a zoo name.

    Raises:
        ConfigError: naming the config key, if neither says where.
    """
    node = cfg.MODEL.TADISTILL.TEACHER
    if node.WEIGHTS:
        return node.WEIGHTS
    if not PathManager.isfile(node.CONFIG_FILE) and _zoo_path(node.CONFIG_FILE):
        try:
            return model_zoo.get_checkpoint_url(node.CONFIG_FILE)
        except RuntimeError as e:
            raise ConfigError(
                f"{KEY}.WEIGHTS is empty, and the model zoo has no weights for "
                f"{node.CONFIG_FILE!r}: give their path or URL"
            ) from e
    raise ConfigError(
        f"{KEY}.WEIGHTS is empty: give the path or URL of the teacher's trained weights. (What "
        f"{node.CONFIG_FILE!r} itself has in MODEL.WEIGHTS is where its training started.)"
    )


def _config_path(name: str) -> str:
    if not name:
        raise ConfigError(
            f"{KEY}.CONFIG_FILE is empty: give the teacher's YAML file, or a name in the model zoo "
            'such as "COCO-Detection/faster_rcnn_R_101_FPN_3x.yaml"'
        )
    if is_address(name) or PathManager.isfile(name):
        return name
    path = _zoo_path(name)
    if path is None:
        raise ConfigError(
            f"{KEY}.CONFIG_FILE is {name!r}, which is neither a file (seen from the working "
            "directory) nor a name in Detectron2's model zoo. (A student that is only to detect "
            "needs no teacher: open its student_final.yaml, or set MODEL.TADISTILL.ENABLED to "
            "False)"
        )
    return path


def _zoo_path(name: str) -> str | None:
    try:
        return model_zoo.get_config_file(name)
    except RuntimeError:
        return None
