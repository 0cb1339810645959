"""Several processes, each of which trains on its share of every batch. Three ways to start them:

    train_net.py --num-gpus N …                     a GPU each: Detectron2's launch
    train_net.py --num-gpus N … MODEL.DEVICE cpu    on the CPU, by gloo: :func:`launch`
    torchrun --nproc-per-node N train_net.py …      either of the two: :func:`joined_by_torchrun`

The launch of Detectron2 v0.6 knows NCCL and GPUs alone, and neither v0.6 nor main knows torchrun.
"""

import argparse
import contextlib
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import detectron2.engine
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.config import CfgNode
from detectron2.utils import comm
from torch.distributed.elastic.utils.distributed import get_free_port

from ..errors import ConfigError

Main = Callable[[argparse.Namespace], object]

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def started_by_torchrun() -> bool:
    """Whether the environment has all that torchrun tells the processes that it starts."""
    return all(name in os.environ for name in _TORCHRUN)


def on_gpu(cfg: CfgNode) -> bool:
    """Whether ``MODEL.DEVICE`` is a GPU. It decides between NCCL and gloo, not the machine."""
    return cfg.MODEL.DEVICE.startswith("cuda")


def launch(main: Main, cfg: CfgNode, args: argparse.Namespace) -> None:
    """Runs ``main(args)`` in ``--num-gpus`` processes on this machine, as ``--machine-rank`` of
    ``--num-machines``, and waits for them. When one dies, the others are ended.

    Processes on the CPU have one thread each, unless ``OMP_NUM_THREADS`` says otherwise: so does
    torchrun.

    Raises:
        SystemExit: if a process ended otherwise than by an exception: the message says how.
        ProcessRaisedException: with the traceback of the process that raised it.
    """
    main = functools.partial(_in_process, main)
    dist_url = args.dist_url
    if dist_url == "auto" and args.num_machines == 1:
        dist_url = f"tcp://127.0.0.1:{get_free_port()}"
    try:
        if on_gpu(cfg):
            detectron2.engine.launch(
                main,
                args.num_gpus,
                num_machines=args.num_machines,
                machine_rank=args.machine_rank,
                dist_url=dist_url,
                args=(args,),
                timeout=_timeout(args),
            )
        else:
            os.environ.setdefault("OMP_NUM_THREADS", "1")
            mp.spawn(_run_on_cpu, nprocs=args.num_gpus, args=(main, args, dist_url))
    except mp.ProcessExitedException as error:
        sys.exit(f"error: {error}, and with it the whole job")


@contextlib.contextmanager
def joined_by_torchrun(cfg: CfgNode, args: argparse.Namespace) -> Iterator[None]:
    """Within, the processes that torchrun started are one group; in any other process this does
    nothing.

    Raises:
        ConfigError: if the command line asks for processes of its own, or torchrun started more
            of them on this machine than it has GPUs.
    """
    if not started_by_torchrun():
        yield
        return
    if args.num_gpus * args.num_machines > 1:
        raise ConfigError(
            f"--num-gpus is {args.num_gpus} and --num-machines is {args.num_machines}, but "
            "torchrun has started the processes already: leave both out, its --nproc-per-node and "
            "--nnodes say how many there are"
        )
    rank, world_size, local_rank, local_size = (int(os.environ[name]) for name in _TORCHRUN[:4])
    if on_gpu(cfg):
        if local_size > torch.cuda.device_count():
            raise ConfigError(
                f"torchrun --nproc-per-node is {local_size}, but torch sees "
                f"{torch.cuda.device_count()} GPUs on this machine; each process needs one. For "
                'processes on the CPU add "MODEL.DEVICE cpu" to the command'
            )
        torch.cuda.set_device(local_rank)
    if world_size > 1:
        backend = "nccl" if on_gpu(cfg) else "gloo"
        _join(backend, rank, world_size, local_size, "env://", _timeout(args))
    yield
    _leave()


def _run_on_cpu(local_rank: int, main: Main, args: argparse.Namespace, dist_url: str) -> None:
    rank = args.machine_rank * args.num_gpus + local_rank
    world_size = args.num_machines * args.num_gpus
    _join("gloo", rank, world_size, args.num_gpus, dist_url, _timeout(args))
    main(args)


def _join(
    backend: str,
    rank: int,
    world_size: int,
    local_size: int,
    init_method: str,
    timeout: timedelta,
) -> None:
    """All processes, and the group of those on this machine that Detectron2 asks for its ranks."""
    dist.init_process_group(
        backend, init_method=init_method, world_size=world_size, rank=rank, timeout=timeout
    )
    if hasattr(comm, "create_local_process_group"):
        comm.create_local_process_group(local_size)
    else:  # Detectron2 v0.6, whose launch does the same
        for first in range(0, world_size, local_size):
            ranks = range(first, first + local_size)
            group = dist.new_group(list(ranks))
            if rank in ranks:
                comm._LOCAL_PROCESS_GROUP = group
    comm.synchronize()


def _leave() -> None:
    """Ends gloo's threads, which Detectron2 has on GPUs too. If they outlive Python it aborts now
    and then, and the job counts as failed when all its work is done.
    """
    if not dist.is_initialized():
        return
    dist.destroy_process_group()
    # A thread ends with the last reference to its group: Detectron2 has two, and a trainer, whose
    # hooks refer to it in a circle, has DistributedDataParallel's.
    comm._LOCAL_PROCESS_GROUP = None
    comm._get_global_gloo_group.cache_clear()
    gc.collect()


def _in_process(main: Main, args: argparse.Namespace) -> None:
    """What is the user's to mend is one line, also out of one of many processes."""
    try:
        main(args)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    _leave()


def _timeout(args: argparse.Namespace) -> timedelta:
    return timedelta(seconds=args.dist_timeout)
