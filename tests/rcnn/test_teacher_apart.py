"""The teacher is in no list of the model's, and nothing changes it."""

import copy
import io

import pytest
import torch
from distilled import INSTANCE_GATE, SOURCES, distilled, train
from tiny import batch, build, clone, plain_cfg, same_tensors, source, step


class TestTheTeacherStaysApart:
    def test_is_in_no_list_of_parameters_buffers_or_modules(self, model):
        teacher = {id(p) for p in model.teacher.parameters()}
        assert len(teacher) > 100
        assert not teacher & {id(p) for p in model.parameters()}
        assert not {id(b) for b in model.teacher.buffers()} & {id(b) for b in model.buffers()}
        assert not set(model.teacher.modules()) & set(model.modules())
        assert not any("teacher" in name for name, _ in model.named_modules())
        assert not any("teacher" in name for name in model.state_dict())

    def test_the_state_dict_is_the_plain_student_and_adapters(self, model):
        plain = build(plain_cfg()).state_dict()
        others = [name for name in model.state_dict() if name not in plain]
        assert set(plain) < set(model.state_dict())
        assert others
        assert all(name.startswith("adapters.") for name in others)

    def test_comes_whole_from_its_file(self, model, teacher_files):
        in_file = torch.load(teacher_files.weights)["model"]
        assert same_tensors(model.teacher.state_dict(), in_file)

    @pytest.mark.parametrize("name", SOURCES)
    def test_does_not_change_in_training(self, teacher_files, name):
        model = distilled(teacher_files, *source(name), *INSTANCE_GATE)
        before = clone(model.teacher.state_dict())
        assert any("running_mean" in key for key in before)
        student_before = clone(model.state_dict())
        train(model, 2)
        assert same_tensors(model.teacher.state_dict(), before)
        assert not same_tensors(model.state_dict(), student_before)

    def test_stays_in_eval_mode_when_the_student_trains(self, model):
        model.eval()
        model.train()
        assert model.training
        assert not any(module.training for module in model.teacher.modules())
        step(model, batch())
        assert not any(module.training for module in model.teacher.modules())

    def test_follows_the_student_to_another_dtype_and_device(self, model):
        model.double()
        tensors = [*model.teacher.parameters(), model.teacher.pixel_mean]
        assert {t.dtype for t in tensors} == {torch.float64}
        assert not any(p.requires_grad for p in model.teacher.parameters())
        model.to("meta")
        assert {t.device.type for t in model.teacher.state_dict().values()} == {"meta"}

    def test_a_deep_copy_has_a_teacher_of_its_own(self, model):
        twin = copy.deepcopy(model)
        assert twin.teacher is not model.teacher
        assert same_tensors(twin.teacher.state_dict(), model.teacher.state_dict())
        assert same_tensors(step(twin, batch()), step(model, batch()))
        twin.double()
        assert model.teacher.pixel_mean.dtype == torch.float32

    def test_a_model_that_torch_saves_whole_comes_back_with_its_teacher(self, model):
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
        assert same_tensors(twin.teacher.state_dict(), model.teacher.state_dict())
        assert same_tensors(step(twin, batch()), step(model, batch()))
