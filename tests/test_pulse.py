import copy
import pickle

import pytest
import torch

from tadistill.pulse import Pulse

SHARES = {"logit": torch.tensor(0.25), "box": torch.tensor(0.5)}


def test_gives_back_what_it_was_given():
    pulse = Pulse(SHARES)
    assert pulse.read() == pulse.read() == SHARES
    assert all(share.shape == () for share in pulse.read().values())
    assert Pulse().read() == Pulse({}).read() == {}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_can_be_copied_with_the_model(copied):
    assert copied(Pulse(SHARES)).read() == SHARES


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_of_a_gpu_arrives_whole():
    busy = torch.rand(4096, 4096, device="cuda")
    for _ in range(20):
        busy = busy @ busy
    pulse = Pulse(
        {name: share.cuda() + 0 * busy[0, 0].nan_to_num(0, 0, 0) for name, share in SHARES.items()}
    )
    shares = copy.deepcopy(pulse).read()
    assert {share.device.type for share in shares.values()} == {"cpu"}
    assert shares == SHARES
