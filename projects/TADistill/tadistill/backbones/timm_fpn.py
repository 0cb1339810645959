"""Any ``features_only`` model of timm, with Detectron2's feature pyramid on top.

timm is imported when such a backbone is built, and not before: without one nobody needs it.
"""

from collections.abc import Sequence

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from torch import Tensor, nn

from ..errors import ConfigError
from .timm_weights import FROM_TIMM, load_timm_weights

TIMM_FPN = "build_timm_fpn_backbone"  # MODEL.BACKBONE.NAME
KEY = "MODEL.TIMM"
NORMS = ("BN", "FrozenBN", "SyncBN")


class TimmBackbone(Backbone):
    """The feature maps of a timm model, named by their strides: "stride4", "stride8", …"""

    def __init__(self, model: nn.Module, out_features: Sequence[str]):
        """
        Args:
            model: made by ``timm.create_model(…, features_only=True)``.
            out_features: names of feature maps. The one of the largest stride must be among them:
                the layers behind the last one that is used would never get a gradient.

        Raises:
            ConfigError: if the model has no map of that name, or the last is left out.
        """
        super().__init__()
        self.model = model
        info = model.feature_info
        # A transformer has several maps of one stride; the deepest counts.
        self._names = [f"stride{stride}" for stride in info.reduction()]
        shapes = zip(self._names, info.channels(), info.reduction(), strict=True)
        self._shapes = {name: ShapeSpec(channels=c, stride=s) for name, c, s in shapes}
        self._channels_last = str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC")
        self._out_features = tuple(out_features)
        _check_out_features(self._out_features, list(self._shapes))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """
        Args:
            x: normalised images, of shape (N, C, H, W).

        Returns:
            By name, feature maps of shape (N, channels, H / stride, W / stride).
        """
        maps = dict(zip(self._names, self.model(x), strict=True))
        if self._channels_last:
            maps = {name: y.permute(0, 3, 1, 2).contiguous() for name, y in maps.items()}
        return {name: maps[name] for name in self._out_features}

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {name: self._shapes[name] for name in self._out_features}


def build_timm_backbone(
    name: str, weights: str, norm: str, out_features: Sequence[str], in_channels: int = 3
) -> TimmBackbone:
    """A timm model that gives feature maps.

    Args:
        name: of a model of timm ("tf_efficientnet_lite0"), with a tag or without.
        weights: where its ImageNet weights come from: "" for nowhere, "timm" for timm's own
            download, or a file; see :func:`load_timm_weights`.
        norm: what becomes of its BatchNorm: "BN", "FrozenBN" or "SyncBN". Other norms stay.
        out_features: see :class:`TimmBackbone`.
        in_channels: of the images.

    Raises:
        ConfigError: naming the config key, if timm is not installed, has no such model or cannot
            make feature maps of it, or if the weights cannot be had or do not fill it.
    """
    if norm not in NORMS:
        raise ConfigError(f"{KEY}.NORM is {norm!r}; choose one of {', '.join(map(repr, NORMS))}")
    timm = _import_timm()
    if not timm.is_model(name):
        raise ConfigError(f"{KEY}.NAME is {name!r}, which timm {timm.__version__} does not have")
    from_timm = weights == FROM_TIMM
    try:
        model = timm.create_model(
            name, features_only=True, pretrained=from_timm, in_chans=in_channels
        )
    except Exception as e:  # each model's builder and each downloader has its own
        what = "get the weights of it" if from_timm else "make feature maps of it"
        raise ConfigError(f"{KEY}.NAME is {name!r}; timm cannot {what}: {e}") from e
    if model.pretrained_cfg.get("fixed_input_size"):
        raise ConfigError(
            f"{KEY}.NAME is {name!r}, which takes images of one size alone; a detector's images "
            "are of many. Choose a convolutional model"
        )
    if weights and not from_timm:
        load_timm_weights(model, name, weights, f"{KEY}.WEIGHTS", in_channels)
    backbone = TimmBackbone(_with_norm(model, norm), out_features)
    _check_maps(backbone, name, in_channels)
    return backbone


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """``MODEL.TIMM`` and ``MODEL.FPN``: "p2" to "p5" from strides 4 to 32, and "p6" above.

    ``MODEL.FPN.IN_FEATURES`` names the timm model's maps: "stride4", "stride8", …

    Raises:
        ConfigError: see :func:`build_timm_backbone`; also if ``MODEL.BACKBONE.FREEZE_AT`` is not 0.
    """
    if cfg.MODEL.BACKBONE.FREEZE_AT != 0:
        raise ConfigError(
            f"MODEL.BACKBONE.FREEZE_AT is {cfg.MODEL.BACKBONE.FREEZE_AT}; a backbone of timm is "
            f'trained whole: set it to 0 ({KEY}.NORM "FrozenBN" freezes its BatchNorm)'
        )
    bottom_up = build_timm_backbone(
        cfg.MODEL.TIMM.NAME,
        cfg.MODEL.TIMM.WEIGHTS,
        cfg.MODEL.TIMM.NORM,
        cfg.MODEL.FPN.IN_FEATURES,
        input_shape.channels,
    )
    return FPN(
        bottom_up=bottom_up,
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )


def without_timm_weights(cfg: CfgNode) -> CfgNode:
    """A copy of ``cfg`` for a model that is to be loaded whole: the ImageNet weights, from which
    its training may have started, need not be there any more.
    """
    cfg = cfg.clone()
    cfg.defrost()
    if cfg.MODEL.BACKBONE.NAME == TIMM_FPN:
        cfg.MODEL.TIMM.WEIGHTS = ""
    return cfg


def _import_timm():
    try:
        import timm
    except ImportError as e:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME is {TIMM_FPN!r}, which needs the package timm: pip install timm"
        ) from e
    return timm


def _with_norm(model: nn.Module, norm: str) -> nn.Module:
    # timm's BatchNorm has the activation in it; Detectron2's and torch's conversions lose it.
    from timm.layers import convert_sync_batchnorm, freeze_batch_norm_2d

    if norm == "FrozenBN":
        return freeze_batch_norm_2d(model)
    return convert_sync_batchnorm(model) if norm == "SyncBN" else model


def _check_maps(backbone: TimmBackbone, name: str, in_channels: int) -> None:
    """Some of timm's models (Inception) pad less than a pyramid needs, some want maps of even
    sides, and some are wrong about themselves.
    """
    shapes = backbone.output_shape()
    largest = max(shape.stride for shape in shapes.values())
    height, width = 3 * largest, 5 * largest  # as images are padded: of whole cells, but odd
    try:
        with torch.no_grad():
            maps = backbone.eval()(torch.zeros(1, in_channels, height, width))
    except Exception as e:  # whatever a layer makes of a size that it was not made for
        raise ConfigError(
            f"{KEY}.NAME is {name!r}, which takes no image of {height}x{width} "
            f"({type(e).__name__}: {e}). Choose another model"
        ) from e
    backbone.train()
    for feature, shape in shapes.items():
        expected = (1, shape.channels, height // shape.stride, width // shape.stride)
        if tuple(maps[feature].shape) != expected:
            raise ConfigError(
                f"{KEY}.NAME is {name!r}, whose map {feature} of an image of {height}x{width} has "
                f"the shape {tuple(maps[feature].shape)}; a feature pyramid needs {expected}. "
                "Choose another model"
            )


def _check_out_features(wanted: Sequence[str], available: Sequence[str]) -> None:
    ends = [list(available[i:]) for i in range(len(available))]
    if list(wanted) not in ends:
        raise ConfigError(
            f"MODEL.FPN.IN_FEATURES is {list(wanted)}; {KEY}.NAME has the feature maps "
            f"{', '.join(available)}: name them from one on to the last"
        )
