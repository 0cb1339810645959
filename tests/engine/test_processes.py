"""Several processes: who starts them, how they find each other, and what happens when one dies."""

import functools
import re
import time
import weakref
from datetime import timedelta
from types import SimpleNamespace

import detectron2.engine
import pytest
import torch
import torch.distributed as dist
from detectron2.utils import comm
from ranks import in_processes, wait_for_one_that_hangs_and_then_dies
from tiny import plain_cfg
from torch.distributed.elastic.utils.distributed import get_free_port

from tadistill.engine import (
    argument_parser,
    joined_by_torchrun,
    launch,
    processes,
    started_by_torchrun,
)
from tadistill.errors import ConfigError

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "somewhere",
    "MASTER_PORT": "29500",
}


def arguments(*words):
    return argument_parser().parse_args(words)


def join(cfg, *words):
    with joined_by_torchrun(cfg, arguments(*words)):
        pass


def set_environment(monkeypatch, variables):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def cfg():
    return plain_cfg()


@pytest.fixture
def gpu_cfg(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    return plain_cfg("MODEL.DEVICE", "cuda")


@pytest.fixture
def joined(monkeypatch):
    """What torch.distributed is asked for, instead of what it does."""
    seen = SimpleNamespace(group=None, local=None, gpu=None, groups=[])

    def init_process_group(backend, **rest):
        seen.group = {"backend": backend, **rest}

    def new_group(ranks):
        seen.groups.append(ranks)
        return ranks

    monkeypatch.setattr(dist, "init_process_group", init_process_group)
    monkeypatch.setattr(dist, "new_group", new_group)
    monkeypatch.setattr(comm, "synchronize", lambda: None)
    monkeypatch.setattr(comm, "_LOCAL_PROCESS_GROUP", None)
    monkeypatch.setattr(torch.cuda, "set_device", lambda gpu: setattr(seen, "gpu", gpu))
    # Detectron2's main has it, v0.6 has not.
    monkeypatch.setattr(
        comm, "create_local_process_group", lambda size: setattr(seen, "local", size), raising=False
    )
    return seen


class TestTorchrun:
    def test_is_known_by_all_of_its_environment(self, monkeypatch):
        set_environment(monkeypatch, TORCHRUN)
        assert started_by_torchrun()
        for name in TORCHRUN:
            set_environment(monkeypatch, {k: v for k, v in TORCHRUN.items() if k != name})
            assert not started_by_torchrun()

    def test_processes_on_the_cpu_are_joined_by_gloo(self, monkeypatch, cfg, joined):
        set_environment(monkeypatch, TORCHRUN)
        join(cfg, "--dist-timeout", "90")
        assert joined.group == {
            "backend": "gloo",
            "init_method": "env://",
            "rank": 5,
            "world_size": 8,
            "timeout": timedelta(seconds=90),
        }
        assert (joined.local, joined.gpu) == (4, None)

    def test_processes_on_gpus_are_joined_by_nccl_each_on_its_own(
        self, monkeypatch, gpu_cfg, joined
    ):
        set_environment(monkeypatch, TORCHRUN)
        join(gpu_cfg)
        assert (joined.group["backend"], joined.group["rank"]) == ("nccl", 5)
        assert joined.group["timeout"] == timedelta(minutes=30)
        assert (joined.local, joined.gpu) == (4, 1)

    def test_a_process_that_is_alone_joins_nobody(self, monkeypatch, cfg, joined):
        set_environment(monkeypatch, {})
        join(cfg)
        alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
        set_environment(monkeypatch, {**TORCHRUN, **alone})
        join(cfg)
        assert joined.group is None

    @pytest.mark.parametrize("words", [("--num-gpus", "2"), ("--num-machines", "2")])
    def test_starts_the_processes_alone(self, monkeypatch, cfg, joined, words):
        set_environment(monkeypatch, TORCHRUN)
        with pytest.raises(ConfigError, match=rf"{words[0]} is 2.*torchrun has started") as error:
            join(cfg, *words)
        assert "--nproc-per-node" in str(error.value)
        assert joined.group is None

    def test_more_processes_than_gpus(self, monkeypatch, gpu_cfg, joined):
        set_environment(monkeypatch, TORCHRUN)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        with pytest.raises(ConfigError, match="--nproc-per-node is 4, but torch sees 3 GPUs"):
            join(gpu_cfg)
        assert joined.group is None


class TestLaunch:
    def test_on_gpus_is_detectron2s(self, monkeypatch, gpu_cfg):
        seen = {}

        def stock(main, num_gpus, **rest):
            main(*rest.pop("args"))
            seen.update(rest, num_gpus=num_gpus)

        monkeypatch.setattr(detectron2.engine, "launch", stock)
        args = arguments(
            *("--num-gpus", "4", "--num-machines", "2", "--machine-rank", "1"),
            *("--dist-url", "tcp://first:4242", "--dist-timeout", "90"),
        )
        ran = []
        launch(ran.append, gpu_cfg, args)
        assert ran == [args]
        assert seen == {
            "num_gpus": 4,
            "num_machines": 2,
            "machine_rank": 1,
            "dist_url": "tcp://first:4242",
            "timeout": timedelta(seconds=90),
        }

    @pytest.mark.parametrize("version", ["v0.6", "main"])
    def test_on_the_cpu_counts_ranks_over_the_machines(self, monkeypatch, joined, version):
        if version == "v0.6":
            monkeypatch.delattr(comm, "create_local_process_group")
        args = arguments("--num-gpus", "2", "--num-machines", "3", "--machine-rank", "1")
        ran = []
        processes._run_on_cpu(1, ran.append, args, "tcp://first:4242")
        assert ran == [args]
        assert joined.group == {
            "backend": "gloo",
            "init_method": "tcp://first:4242",
            "rank": 3,
            "world_size": 6,
            "timeout": timedelta(minutes=30),
        }
        if version == "v0.6":
            assert joined.groups == [[0, 1], [2, 3], [4, 5]]
            assert comm._LOCAL_PROCESS_GROUP == [2, 3]
        else:
            assert (joined.groups, joined.local) == ([], 2)

    def test_ends_when_a_process_hangs_or_dies(self, tmp_path):
        start = time.monotonic()
        with pytest.raises(SystemExit) as end:
            in_processes(wait_for_one_that_hangs_and_then_dies, tmp_path, tmp_path, timeout=10)
        text = str(end.value)
        assert text == "error: process 1 terminated with signal SIGKILL, and with it the whole job"
        waited, message = (tmp_path / "waited").read_text().split(maxsplit=1)
        assert 9 < float(waited) < 60
        assert re.search("timed? ?out", message, re.IGNORECASE)
        assert time.monotonic() - start < 240

    def test_what_is_the_users_to_mend_is_one_line_out_of_a_process_too(self, monkeypatch, cfg):
        def main(args):
            raise ConfigError("SOME.KEY is wrong")

        def first_process(function, nprocs, args):
            monkeypatch.setattr(processes, "_join", lambda *args: None)
            function(0, *args)

        monkeypatch.setattr(torch.multiprocessing, "spawn", first_process)
        with pytest.raises(SystemExit) as end:
            launch(main, cfg, arguments("--num-gpus", "2"))
        assert str(end.value) == "error: SOME.KEY is wrong"


def test_a_process_that_is_through_leaves_no_group_behind(monkeypatch):
    address = f"tcp://127.0.0.1:{get_free_port()}"
    args = arguments("--num-gpus", "1")
    monkeypatch.setattr(comm, "_LOCAL_PROCESS_GROUP", None)
    groups = []

    def main(args):
        assert (dist.get_rank(), dist.get_world_size(), comm.get_local_rank()) == (0, 1, 0)
        kept_by_detectron2 = comm._get_global_gloo_group()
        like_a_trainer = [kept_by_detectron2]
        like_a_trainer.append(like_a_trainer)
        groups.extend(map(weakref.ref, (kept_by_detectron2, comm._LOCAL_PROCESS_GROUP)))

    processes._run_on_cpu(0, functools.partial(processes._in_process, main), args, address)
    assert not dist.is_initialized()
    assert [group() for group in groups] == [None, None]
