"""The options of each part, as plain values that name their config key when they are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from .errors import ConfigError

KEY = "MODEL.TADISTILL"
TERMS = ("feature", "logit", "box")


def _choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"{KEY}.{key} is {value!r}; choose one of {', '.join(map(repr, choices))}"
        )


def _require(holds: bool, key: str, value: object, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{KEY}.{key} is {value!r}; it must be {expected}")


@dataclass(frozen=True)
class SharingOptions:
    """Whose proposals are sampled; see :func:`tadistill.proposals.share_proposals`."""

    source: str = "union"
    nms_thresh: float = 0.9

    def __post_init__(self):
        _choice("PROPOSALS.SOURCE", self.source, ("union", "student", "teacher"))
        _require(
            0 <= self.nms_thresh <= 1, "PROPOSALS.NMS_THRESH", self.nms_thresh, "an IoU in [0, 1]"
        )

    @classmethod
    def from_cfg(cls, node):
        return cls(node.SOURCE, node.NMS_THRESH)


@dataclass(frozen=True)
class FeatureOptions:
    """lambda_f, M with its sigma, levels and gate of :func:`tadistill.terms.feature_term`."""

    weight: float = 1.0
    sigma: float = 2**0.5
    levels: Sequence[str] = ()
    gate: str = "none"
    mask: str = "gaussian"

    def __post_init__(self):
        _require(0 <= self.weight < inf, "FEATURE.WEIGHT", self.weight, "zero or more")
        _require(0 < self.sigma < inf, "FEATURE.SIGMA", self.sigma, "above zero")
        _choice("FEATURE.GATE", self.gate, ("none", "instance"))
        _choice("FEATURE.MASK", self.mask, ("gaussian", "box", "anchor", "whole"))
        if (self.mask, self.gate) == ("whole", "instance"):
            raise ConfigError(
                f"{KEY}.FEATURE.GATE is 'instance', which leaves boxes out, but {KEY}.FEATURE.MASK "
                "is 'whole', which looks at none; set the gate to 'none'"
            )

    @classmethod
    def from_cfg(cls, node):
        return cls(node.WEIGHT, node.SIGMA, tuple(node.LEVELS), node.GATE, node.MASK)


@dataclass(frozen=True)
class LogitOptions:
    """lambda_c, tau, gate, region and loss of :func:`tadistill.terms.logit_term`."""

    weight: float = 1.0
    temperature: float = 1.0
    gate: str = "student"
    region: str = "all"
    loss: str = "kl"

    def __post_init__(self):
        _require(0 <= self.weight < inf, "LOGIT.WEIGHT", self.weight, "zero or more")
        _require(0 < self.temperature < inf, "LOGIT.TEMPERATURE", self.temperature, "above zero")
        _choice("LOGIT.GATE", self.gate, ("student", "none"))
        _choice("LOGIT.REGION", self.region, ("all", "foreground"))
        _choice("LOGIT.LOSS", self.loss, ("kl", "bce"))

    @classmethod
    def from_cfg(cls, node):
        return cls(node.WEIGHT, node.TEMPERATURE, node.GATE, node.REGION, node.LOSS)


@dataclass(frozen=True)
class BoxOptions:
    """lambda_b and gate of :func:`tadistill.terms.box_term`."""

    weight: float = 1.0
    gate: str = "student"

    def __post_init__(self):
        _require(0 <= self.weight < inf, "BOX.WEIGHT", self.weight, "zero or more")
        _choice("BOX.GATE", self.gate, ("student", "proposal", "none"))

    @classmethod
    def from_cfg(cls, node):
        return cls(node.WEIGHT, node.GATE)


@dataclass(frozen=True)
class BalanceOptions:
    """f_x and how the scales s_x are measured; see :mod:`tadistill.balance`."""

    enabled: bool = True
    feature: float = 0.5
    logit: float = 0.5
    box: float = 0.5
    period: int = 20
    momentum: float = 0.8
    limit: tuple[float, float] = (0.01, 100.0)

    def __post_init__(self):
        for name in TERMS:
            value = getattr(self, name)
            _require(0 < value < inf, f"BALANCE.{name.upper()}", value, "above zero")
        _require(self.period >= 1, "BALANCE.PERIOD", self.period, "1 or more")
        _require(0 <= self.momentum < 1, "BALANCE.MOMENTUM", self.momentum, "in [0, 1)")
        ordered = len(self.limit) == 2 and 0 < self.limit[0] <= self.limit[1] < inf
        expected = "the smallest and the largest scale, above zero"
        _require(ordered, "BALANCE.LIMIT", list(self.limit), expected)

    @classmethod
    def from_cfg(cls, node):
        return cls(
            node.ENABLED,
            node.FEATURE,
            node.LOGIT,
            node.BOX,
            node.PERIOD,
            node.MOMENTUM,
            tuple(node.LIMIT),
        )


@dataclass(frozen=True)
class TeacherOptions:
    """What makes the teacher faster; see :class:`tadistill.teacher.FrozenTeacher`."""

    fold_bn: bool = False
    dtype: str = ""
    channels_last: bool = False
    compile: bool = False
    stream: bool = False

    def __post_init__(self):
        _choice("TEACHER.DTYPE", self.dtype, ("", "float32", "bfloat16", "float16"))

    @classmethod
    def from_cfg(cls, node):
        return cls(node.FOLD_BN, node.DTYPE, node.CHANNELS_LAST, node.COMPILE, node.STREAM)


@dataclass(frozen=True)
class DistillationOptions:
    """All that the method lets one choose, but for the decay, which is the hook's."""

    sharing: SharingOptions = SharingOptions()
    feature: FeatureOptions = FeatureOptions()
    logit: LogitOptions = LogitOptions()
    box: BoxOptions = BoxOptions()
    balance: BalanceOptions = BalanceOptions()
    inherit: bool = False

    @classmethod
    def from_cfg(cls, cfg):
        node = cfg.MODEL.TADISTILL
        return cls(
            SharingOptions.from_cfg(node.PROPOSALS),
            FeatureOptions.from_cfg(node.FEATURE),
            LogitOptions.from_cfg(node.LOGIT),
            BoxOptions.from_cfg(node.BOX),
            BalanceOptions.from_cfg(node.BALANCE),
            node.INHERIT,
        )

    @property
    def weights(self) -> dict[str, float]:
        """lambda by the names of the terms; those that are off are not in it."""
        weights = {name: getattr(self, name).weight for name in TERMS}
        return {name: weight for name, weight in weights.items() if weight > 0}

    @property
    def balances(self) -> bool:
        """False if there is no term to balance, too."""
        return self.balance.enabled and bool(self.weights)

    @property
    def needs_teacher(self) -> bool:
        """False if no step needs it, and nothing is inherited from it before the first."""
        return self.needs_teacher_in_steps or self.inherit

    @property
    def needs_teacher_in_steps(self) -> bool:
        """False if no term weighs anything and the proposals are the student's own."""
        return self.needs_teacher_proposals or self.needs_teacher_head or self.feature.weight > 0

    @property
    def needs_teacher_proposals(self) -> bool:
        return self.sharing.source != "student"

    @property
    def needs_teacher_head(self) -> bool:
        instance_gate = self.feature.weight > 0 and self.feature.gate == "instance"
        return self.logit.weight > 0 or self.box.weight > 0 or instance_gate
