import copy
import pickle

import pytest
import torch

from tadistill.host_scalars import HostScalars

SHARES = {"logit": torch.tensor(0.25), "box": torch.tensor(0.5)}


def test_gives_back_what_it_was_given():
    scalars = HostScalars(SHARES)
    assert scalars.read() == scalars.read() == SHARES
    assert all(share.shape == () for share in scalars.read().values())
    assert HostScalars().read() == HostScalars({}).read() == {}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_can_be_copied_with_the_model(copied):
    assert copied(HostScalars(SHARES)).read() == SHARES


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_of_a_gpu_arrives_whole():
    busy = torch.rand(4096, 4096, device="cuda")
    for _ in range(20):
        busy = busy @ busy
    scalars = HostScalars(
        {name: share.cuda() + 0 * busy[0, 0].nan_to_num(0, 0, 0) for name, share in SHARES.items()}
    )
    shares = copy.deepcopy(scalars).read()
    assert {share.device.type for share in shares.values()} == {"cpu"}
    assert shares == SHARES
