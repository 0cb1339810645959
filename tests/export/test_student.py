"""A student that stock Detectron2 opens where there is no tadistill."""

import subprocess
import sys
import textwrap

import pytest
import torch
import yaml
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import ROI_HEADS_REGISTRY, GeneralizedRCNN, StandardROIHeads
from tiny import batch, build, liven, plain_cfg, same_detections, same_tensors, student_cfg
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from tadistill import TADistillRCNN, export_student
from tadistill.errors import ConfigError
from tadistill.export import student_config

# Runs where `import tadistill` cannot succeed, whether it is installed or not.
STOCK = """
    import sys

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "tadistill":
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, Blocked())
    try:
        import tadistill
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit("tadistill can be imported")

    import torch
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    config, inputs, outputs = sys.argv[1:]
    torch.set_num_threads(1)
    cfg = get_cfg()
    cfg.merge_from_file(config)
    model = build_model(cfg).eval()
    DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    with torch.no_grad():
        detections = model([{"image": image} for image in torch.load(inputs)])
    instances = [d["instances"] for d in detections]
    torch.save(
        {
            "type": type(model).__name__,
            "modules": [name for name in sys.modules if "tadistill" in name],
            "detections": [(i.pred_boxes.tensor, i.scores, i.pred_classes) for i in instances],
        },
        outputs,
    )
"""


@pytest.fixture
def model(teacher_files):
    return liven(build(student_cfg(teacher_files)))


def images():
    return [x["image"] for x in batch()]


def test_stock_detectron2_without_tadistill_gives_bitwise_the_same_detections(
    model, teacher_files, tmp_path
):
    _, config = export_student(model, student_cfg(teacher_files), str(tmp_path))
    torch.save(images(), tmp_path / "inputs.pt")
    command = [sys.executable, "-c", textwrap.dedent(STOCK), config]
    done = subprocess.run(
        [*command, str(tmp_path / "inputs.pt"), str(tmp_path / "outputs.pt")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stock = torch.load(tmp_path / "outputs.pt")
    assert (stock["type"], stock["modules"]) == ("GeneralizedRCNN", [])

    model.eval()
    with torch.no_grad():
        mine = [d["instances"] for d in model([{"image": image} for image in images()])]
    for ours, (boxes, scores, classes) in zip(mine, stock["detections"], strict=True):
        assert len(ours) == 10
        assert torch.equal(ours.pred_boxes.tensor, boxes)
        assert torch.equal(ours.scores, scores)
        assert torch.equal(ours.pred_classes, classes)


@pytest.mark.parametrize("balance", [False, True])
def test_a_training_checkpoint_opens_in_a_stock_config(teacher_files, tmp_path, balance):
    opts = ("MODEL.TADISTILL.BALANCE.ENABLED", balance)
    model = liven(build(student_cfg(teacher_files, *opts)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    DetectionCheckpointer(model, str(tmp_path), optimizer=optimizer).save("model_0000004")
    stock = build(plain_cfg(), seed=99)
    DetectionCheckpointer(stock).load(str(tmp_path / "model_0000004.pth"))
    assert type(stock) is GeneralizedRCNN
    assert same_detections(stock.eval()(batch()), model.eval()(batch()))


def test_the_file_has_the_plain_names_and_nothing_more(model, teacher_files, tmp_path):
    weights, _ = export_student(model, student_cfg(teacher_files), str(tmp_path))
    content = torch.load(weights, weights_only=True)
    assert sorted(content) == ["__author__", "model"]
    plain = {k: v for k, v in model.state_dict().items() if not k.startswith("adapters.")}
    assert same_tensors(content["model"], plain)
    assert same_tensors(content["model"], {k: plain[k] for k in build(plain_cfg()).state_dict()})
    assert not any(tensor.requires_grad for tensor in content["model"].values())


def test_the_config_has_no_key_of_tadistill_and_differs_from_the_defaults_alone(
    model, teacher_files, tmp_path
):
    cfg = student_cfg(teacher_files, "SOLVER.OPTIMIZER", "ADAMW", "OUTPUT_DIR", "of/the/training")
    weights, config = export_student(model, cfg, str(tmp_path))
    with open(config) as file:
        text = file.read()
    assert "TADISTILL" not in text.upper().replace(str(tmp_path).upper(), "")
    keys = yaml.safe_load(text)
    # A training that starts from this file has its own schedule and its own folder.
    assert not {"SOLVER", "OUTPUT_DIR"} & set(keys)
    assert "META_ARCHITECTURE" not in keys["MODEL"]
    assert "PANOPTIC_FPN" not in keys["MODEL"]
    assert keys["MODEL"]["WEIGHTS"] == weights == str(tmp_path / "student_final.pth")

    stock = get_cfg()
    stock.merge_from_file(config)
    expected = plain_cfg("MODEL.WEIGHTS", weights)
    assert expected.SOLVER != get_cfg().SOLVER
    expected.SOLVER = get_cfg().SOLVER
    assert stock == expected


def test_keys_of_other_projects_stay(model, teacher_files, tmp_path):
    cfg = student_cfg(teacher_files)
    cfg.MODEL.MYNET = CfgNode({"DEPTH": 3, "STAGES": CfgNode({"WIDTHS": [4, 8]})})
    cfg.TRACKER = "mine"
    _, config = export_student(model, cfg, str(tmp_path))
    with open(config) as file:
        keys = yaml.safe_load(file)
    assert keys["MODEL"]["MYNET"] == {"DEPTH": 3, "STAGES": {"WIDTHS": [4, 8]}}
    assert keys["TRACKER"] == "mine"
    assert "TADISTILL" not in keys["MODEL"]


def test_a_config_that_changes_nothing_of_the_model_is_exported_too(tmp_path):
    detector = GeneralizedRCNN.__new__(GeneralizedRCNN)  # of which nothing is asked
    torch.nn.Module.__init__(detector)
    _, config = export_student(detector, get_cfg(), str(tmp_path))
    stock = get_cfg()
    stock.merge_from_file(config)
    expected = get_cfg()
    expected.MODEL.WEIGHTS = str(tmp_path / "student_final.pth")
    assert stock == expected


def test_the_config_given_is_left_as_it_is(teacher_files):
    cfg = student_cfg(teacher_files)
    before = cfg.clone()
    student_config(cfg).MODEL.FPN.OUT_CHANNELS = 1
    assert cfg == before


def test_a_plain_detector_is_exported_under_any_name_into_a_new_folder(tmp_path):
    detector = build(plain_cfg())
    folder = tmp_path / "some" / "folder with spaces"
    weights, config = export_student(detector, plain_cfg(), str(folder), name="best")
    assert [weights, config] == [str(folder / "best.pth"), str(folder / "best.yaml")]
    assert same_tensors(torch.load(weights)["model"], detector.state_dict())


def test_a_plain_detector_has_parts_of_any_name(tmp_path):
    detector = build(plain_cfg())
    detector.adapters, detector.balance = torch.nn.Linear(2, 2), torch.nn.BatchNorm2d(3)
    weights, _ = export_student(detector, plain_cfg(), str(tmp_path))
    assert {"adapters.weight", "balance.running_var"} <= set(torch.load(weights)["model"])
    assert same_tensors(torch.load(weights)["model"], detector.state_dict())


def test_modules_know_their_version_again(model, teacher_files, tmp_path):
    """One that has changed since its first version would convert its tensors a second time."""
    model.roi_heads.box_head._version = 2
    weights, _ = export_student(model, student_cfg(teacher_files), str(tmp_path))
    versions = torch.load(weights)["model"]._metadata
    assert versions["roi_heads.box_head"] == {"version": 2}
    assert versions["backbone.bottom_up.stem"] == {"version": 1}


def test_weights_of_a_training_that_diverged_are_not_written(model, teacher_files, tmp_path):
    with torch.no_grad():
        model.roi_heads.box_head.fc1.bias[3] = float("nan")
    with pytest.raises(ConfigError, match=r"not finite in 1 tensors, .*: roi_heads.box_head.fc1.b"):
        export_student(model, student_cfg(teacher_files), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_mask_may_be_infinite(model, teacher_files, tmp_path):
    model.roi_heads.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    export_student(model, student_cfg(teacher_files), str(tmp_path))
    model.backbone.fpn_lateral2.register_buffer("running_var", torch.tensor([torch.inf]))
    with pytest.raises(ConfigError, match=r"1 tensors, .*: backbone.fpn_lateral2.running_var"):
        export_student(model, student_cfg(teacher_files), str(tmp_path))


def test_a_compiled_model_is_unwrapped(model, teacher_files, tmp_path):
    cfg = student_cfg(teacher_files)
    of_plain, _ = export_student(model, cfg, str(tmp_path), name="plain")
    of_compiled, _ = export_student(torch.compile(model), cfg, str(tmp_path), name="compiled")
    assert same_tensors(torch.load(of_compiled)["model"], torch.load(of_plain)["model"])


def test_of_several_processes_the_main_one_alone_writes(
    model, teacher_files, tmp_path, monkeypatch
):
    cfg = student_cfg(teacher_files)
    monkeypatch.setattr("detectron2.utils.comm.is_main_process", lambda: False)
    folder = tmp_path / "student"
    paths = export_student(model, cfg, str(folder))
    assert not folder.exists()
    monkeypatch.undo()
    assert export_student(model, cfg, str(folder)) == paths
    assert len(list(folder.iterdir())) == 2


@pytest.fixture
def process_group(tmp_path):
    """A distributed training of one process."""
    address = (tmp_path / "rendezvous").as_uri()
    distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_parts_that_were_compiled_have_their_plain_names(model, teacher_files, tmp_path):
    cfg = student_cfg(teacher_files)
    of_plain, _ = export_student(model, cfg, str(tmp_path), name="plain")
    model.backbone = torch.compile(model.backbone)
    model.roi_heads.box_head = torch.compile(model.roi_heads.box_head)
    assert any("._orig_mod." in name for name in model.state_dict())
    of_compiled, _ = export_student(model, cfg, str(tmp_path), name="compiled")
    assert same_tensors(torch.load(of_compiled)["model"], torch.load(of_plain)["model"])


def test_a_model_that_torch_averages_is_unwrapped(model, teacher_files, tmp_path):
    averaged = AveragedModel(model)
    assert "n_averaged" in averaged.state_dict()
    cfg = student_cfg(teacher_files)
    of_averaged, _ = export_student(averaged, cfg, str(tmp_path), name="averaged")
    of_plain, _ = export_student(model, cfg, str(tmp_path), name="plain")
    assert same_tensors(torch.load(of_averaged)["model"], torch.load(of_plain)["model"])


def test_what_is_no_detector_is_refused_before_anything_is_written(teacher_files, tmp_path):
    """Its weights would have names that no detector finds, of which Detectron2 only warns."""
    wrapper = torch.nn.Sequential(torch.nn.Linear(1, 1))
    with pytest.raises(ConfigError, match=r"was given a Sequential.* of a wrapper, the one inside"):
        export_student(wrapper, student_cfg(teacher_files), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_class_that_detects_otherwise_is_warned_of(teacher_files, tmp_path, tadistill_log):
    class Scaled(TADistillRCNN):
        def preprocess_image(self, batched_inputs):
            images = super().preprocess_image(batched_inputs)
            images.tensor /= 255
            return images

    model = build(student_cfg(teacher_files))
    export_student(model, student_cfg(teacher_files), str(tmp_path))
    assert "detects otherwise" not in tadistill_log.text
    model.__class__ = Scaled
    export_student(model, student_cfg(teacher_files), str(tmp_path))
    assert "GeneralizedRCNN, which has no preprocess_image of Scaled" in tadistill_log.text


def test_keys_of_another_project_are_named(model, teacher_files, tmp_path, tadistill_log):
    cfg = student_cfg(teacher_files)
    cfg.MY, cfg.MODEL.MY_HEAD = CfgNode({"KEY": 1}), 2
    export_student(model, cfg, str(tmp_path))
    line = tadistill_log.messages[-1]
    keys = line.partition("for stock Detectron2 with what declares ")[2].partition(":")[0]
    assert set(keys.split(", ")) == {"MY", "MODEL.MY_HEAD"}


def test_parts_of_another_project_are_named(
    model, teacher_files, tmp_path, tadistill_log, monkeypatch
):
    heads = type("MyHeads", (StandardROIHeads,), {})
    monkeypatch.setitem(ROI_HEADS_REGISTRY._obj_map, "MyHeads", heads)
    cfg = student_cfg(teacher_files, "MODEL.ROI_HEADS.NAME", "MyHeads")
    export_student(model, cfg, str(tmp_path))
    assert "for stock Detectron2 with what registers MyHeads: /" in tadistill_log.messages[-1]
    export_student(model, student_cfg(teacher_files), str(tmp_path))
    assert "for stock Detectron2: /" in tadistill_log.messages[-1]


@pytest.mark.usefixtures("process_group")
def test_a_model_of_a_distributed_training_is_unwrapped(model, teacher_files, tmp_path):
    wrapped = DistributedDataParallel(model)
    assert all(name.startswith("module.") for name in wrapped.state_dict())
    cfg = student_cfg(teacher_files)
    of_wrapped, _ = export_student(wrapped, cfg, str(tmp_path), name="wrapped")
    of_plain, _ = export_student(model, cfg, str(tmp_path), name="plain")
    assert same_tensors(torch.load(of_wrapped)["model"], torch.load(of_plain)["model"])
