"""Scalars of a step on their way from the device to the log."""

from collections.abc import Mapping

import torch
from torch import Tensor


class HostScalars:
    """Scalars that leave for the host at once, in the middle of a step, so that who reads them at
    its end waits for nothing that the GPU was asked to do since.
    """

    def __init__(self, scalars: Mapping[str, Tensor] | None = None):
        """
        Args:
            scalars: on one device, by names such as those of gates or terms.
        """
        self._names = list(scalars or {})
        self._values = torch.stack([*scalars.values()]) if scalars else torch.empty(0)
        self._arrived = None
        if self._values.is_cuda:
            stream = torch.cuda.current_stream(self._values.device)
            host = torch.empty_like(self._values, device="cpu", pin_memory=True)
            self._values = host.copy_(self._values, non_blocking=True)
            self._arrived = stream.record_event()

    def read(self) -> dict[str, Tensor]:
        """What was given, by the same names; scalars on the CPU."""
        if self._arrived is not None:
            self._arrived.synchronize()
            self._arrived = None
        return dict(zip(self._names, self._values, strict=True))

    def __getstate__(self):
        self.read()  # an event cannot be copied, nor what has not arrived
        return self.__dict__
