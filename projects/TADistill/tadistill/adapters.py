"""A^l: a learned 1x1 convolution from the student's feature map to the teacher's channels."""

from collections.abc import Mapping

from detectron2.layers import Conv2d
from torch import Tensor, nn

from .levels import LevelPair


class Adapters(nn.ModuleDict):
    """One 1x1 convolution a level; kept even where the channel counts agree, since equal counts do
    not mean equal channels. Trained with the student and left behind when it is exported.
    """

    def __init__(self, levels: Mapping[str, LevelPair]):
        """
        Args:
            levels: the levels to compare, by the student's name.
        """
        super().__init__()
        for name, pair in levels.items():
            self[name] = Conv2d(pair.student.channels, pair.teacher.channels, kernel_size=1)
            # Close to zero, as Detectron2's predictors start: random maps of the teacher's size
            # would be further from it than none, and unlearning them costs the first 150 steps.
            nn.init.normal_(self[name].weight, std=0.01)
            nn.init.zeros_(self[name].bias)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``A^l(F_S^l)`` of each adapted level, float32: (N, C_S, H, W) to (N, C_T, H, W)."""
        return {name: adapter(features[name].float()) for name, adapter in self.items()}
