"""The section [data]: images, their splits and their random changes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from .own_files import check_reference
from .section import Section, known


class AugmentationSection(Section):
    """Random changes of a training image; none by default."""

    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest angle in degrees, either way."""
    shift: float = Field(default=0.0, ge=0, lt=1)
    """Largest shift, as a share of the image's side."""
    crop_padding: int = Field(default=0, ge=0)
    """Pixels of zero padding before a random crop back to the image's size."""
    flip: bool = False
    """Mirror left and right, with probability one half."""


class DataSection(Section):
    """Images and their splits."""

    factory: str | None = None
    """FILE.py:NAME or MODULE:NAME, a function of your own that returns torch Datasets of (inputs,
    class number): (train, test) or (train, validation, test). It may take `root` (the data root)
    and `seed`, and takes what `arguments` says."""
    arguments: dict[str, Any] | None = None
    """Of that function, by name."""
    seed: int | None = None
    """What that function gets; the run's where it is not given. A trained model's evaluation has
    that of its training: with another, a function that divides by it would test on images that the
    model was trained on."""
    name: str = Field(default="", validate_default=True)
    """A dataset of `qhc data list`, or `folder:DIR`; with a factory, what reports call it."""
    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training images that is held out for validation."""
    stratified: bool = True
    """Hold out the same share of every class; otherwise of all images, whatever their class."""
    validation_from_test: bool = False
    """Validate on the test split; what `validation` holds out is then left unused."""
    augment_validation: bool = False
    """Change validation images as training images are."""
    size: int | None = Field(default=None, ge=4)
    """Side to which images are scaled; as they are where it is not given."""
    range: tuple[float, float] | None = None
    """Stored values of black and of white, in a folder's images deeper than 8 bits; those of the
    type where it is not given: 0 to 65535 of 16 bits, 0 to 1 of floating point, none of 32 bits."""
    download: bool = True
    """Fetch missing data where torchvision can."""
    augmentation: AugmentationSection = AugmentationSection()
    augment_normalised: bool = False
    """Augment after normalising, so that what moves in from outside an image is the mean of the
    dataset rather than black."""

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"black must lie below white, got {list(value)}")
        return value

    @field_validator("factory")
    @classmethod
    def _is_reference(cls, value: str | None) -> str | None:
        return value and check_reference(value)

    @field_validator("name")
    @classmethod
    def _known_dataset(cls, value: str, info: ValidationInfo) -> str:
        if "factory" not in info.data:
            # Told of the factory already.
            return value
        if info.data["factory"] is not None:
            return value or str(info.data["factory"])
        if not value:
            raise ValueError("must be given")
        if value.startswith("folder:"):
            return value
        # The sources bring torch along, which only a recipe with data has to wait for.
        from ..data.sources import SOURCES

        return known("dataset", value, SOURCES)

    @model_validator(mode="after")
    def _of_a_factory(self) -> DataSection:
        for key, are in (("arguments", "are those"), ("seed", "is that")):
            if self.factory is None and getattr(self, key) is not None:
                raise ValueError(f"{key} {are} of a factory; leave {key} out")
        for key in ("size", "range") if self.factory is not None else ():
            if getattr(self, key) is not None:
                raise ValueError(
                    f"{key} is for qhc's own datasets and folders of images; leave it out, and do "
                    f"in {self.factory} what it would do"
                )
        return self
