"""What goes to a device: a trained model, its images, and where the answers are kept."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from torch import nn

from qbackend.seam.backend import QuantumBackend

from ..assembly.feed import evaluation_split
from ..config.sections import Config
from ..data.splits import ImageData, Split
from ..records.folder import RunFolder


@dataclass
class DeviceRun:
    """A trained model that a device evaluates.

    Attributes:
        model: its weights stay as they are.
        config: of the run; it names the device.
        data: its images.
        folder: where the answers and the records go.
        target: the device's backend.
        checkpoint: whose weights the model has.
    """

    model: nn.Module
    config: Config
    data: ImageData
    folder: RunFolder
    target: QuantumBackend
    _: KW_ONLY
    checkpoint: str

    @cached_property
    def split(self) -> Split:
        """The test images that the run is limited to."""
        return evaluation_split(self.data.test, self.config.run.limit, self.config.run.seed)
