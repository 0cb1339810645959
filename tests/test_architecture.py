"""Which configs are of a distillation."""

import pytest
from detectron2.config import get_cfg
from detectron2.modeling import META_ARCH_REGISTRY

from tadistill.architecture import is_distilled


@pytest.mark.parametrize(
    ("name", "expected"),
    [("TADistillRCNN", True), ("GeneralizedRCNN", False), ("NobodysRCNN", False)],
)
def test_by_the_name_of_the_architecture(name, expected):
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = name
    assert is_distilled(cfg) is expected


def test_a_function_is_none(monkeypatch):
    """Detectron2 calls whatever is registered with the config."""
    monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, "built_by_a_function", lambda cfg: None)
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "built_by_a_function"
    assert not is_distilled(cfg)
