"""The method's pulse on its way to the log."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Pulse:
    """The shares of the gates, or the scales of the terms. They leave for the host at once, in the
    middle of the step, so that who reads them at its end waits for nothing that the GPU was asked
    to do since.
    """

    def __init__(self, shares: Mapping[str, Tensor] | None = None):
        """
        Args:
            shares: scalars on one device, by the names of the gates or terms.
        """
        self._names = list(shares or {})
        self._values = torch.stack([*shares.values()]) if shares else torch.empty(0)
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
