"""The anatomy around a hippocampus as numbers: what varies between people and protocols.

Frame: millimetres around the centre of a *left* hippocampus, x towards the middle of the head, y anterior, z superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["TemporalLobe", "TissueContrast"]


@dataclass(frozen=True)
class TissueContrast:
    """Mean signal of the tissues, relative to white matter at 1."""

    grey: float
    hippocampus: float
    amygdala: float
    thalamus: float
    fluid: float

    @classmethod
    def sample(cls, generator: np.random.Generator) -> TissueContrast:
        """A T1-weighted protocol: grey matter from well to moderately separable, the hippocampus about as grey."""
        grey = generator.uniform(0.46, 0.62)
        return cls(
            grey=grey,
            hippocampus=grey + generator.uniform(-0.04, 0.05),
            amygdala=grey + generator.uniform(-0.03, 0.06),
            thalamus=generator.uniform(grey + 0.12, 0.95),
            fluid=generator.uniform(0.10, 0.34),
        )


@dataclass(frozen=True)
class TemporalLobe:
    """Sizes and courses of one person's structures, in mm unless said otherwise."""

    half_length: float
    width: float  # scales the cross-section, without unit
    height: float  # scales the cross-section, without unit
    medial_bend: float
    slope: float
    tail_rise: float
    tilt: float  # degrees
    uncus_reach: float
    uncus_length: float
    uncus_position: float  # along the centre line, -1 the posterior and 1 the anterior end
    horn_width: float
    cistern_width: float
    amygdala_size: float
    amygdala_gap: float
    gyrus_depth: float
    gyrus_thickness: float
    fold_wavelength: float

    @classmethod
    def sample(cls, generator: np.random.Generator) -> TemporalLobe:
        """One person, from young and full to old with shrunken structures and wide fluid spaces."""
        age = generator.uniform(0, 1)
        return cls(
            half_length=generator.uniform(19.0, 21.5),
            width=generator.uniform(1.12, 1.22) - 0.10 * age,
            height=generator.uniform(1.16, 1.28) - 0.12 * age,
            medial_bend=generator.uniform(2.0, 5.0),
            slope=generator.uniform(4.5, 7.5),
            tail_rise=generator.uniform(0.5, 3.5),
            tilt=generator.uniform(-20.0, 4.0),
            uncus_reach=generator.uniform(6.5, 9.5),
            uncus_length=generator.uniform(5.5, 7.5),
            uncus_position=generator.uniform(0.48, 0.66),
            horn_width=generator.uniform(0.2, 1.2) + 1.8 * age,
            cistern_width=generator.uniform(1.5, 3.0) + 2.0 * age,
            amygdala_size=generator.uniform(7.0, 9.5),
            amygdala_gap=generator.uniform(-0.8, 2.0),
            gyrus_depth=generator.uniform(9.0, 12.5),
            gyrus_thickness=generator.uniform(2.2, 3.6),
            fold_wavelength=generator.uniform(15.0, 22.0),
        )

    def centre_line(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (x, z) of the hippocampus's centre line at the coronal positions ``y``."""
        along = np.clip(y / np.float32(self.half_length), -1.3, 1.3)
        x = self.medial_bend * (along**2 - 0.4)
        z = -self.slope * along + self.tail_rise * np.clip(-along, 0, None) ** 2
        return x.astype(np.float32), z.astype(np.float32)

    def cross_section(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half width and half height of the hippocampus at ``y``: wide head, slender body, thinning tail."""
        along = y / np.float32(self.half_length)
        closing = np.sqrt(np.clip(1 - np.abs(along) ** 5, 0, None))
        head = 1 / (1 + np.exp(-9 * (np.clip(along, -2, 2) - 0.35)))
        tail = np.clip(-along - 0.3, 0, None)
        half_width = self.width * (6.4 + 1.0 * head - 1.8 * tail) * closing
        half_height = self.height * (4.0 + 1.6 * head - 0.9 * tail) * closing
        return half_width.astype(np.float32), half_height.astype(np.float32)

    @property
    def uncus_centre(self) -> np.ndarray:
        """Centre of the lobe that hooks from the head towards the middle."""
        y = np.float32(self.uncus_position * self.half_length)
        x, z = self.centre_line(y)
        return np.array([x + self.uncus_reach, y, z + 0.5])

    @property
    def head_boundary(self) -> float:
        """Coronal position where the head ends: behind the uncus, the landmark that raters use."""
        return float(self.uncus_centre[1] - 0.85 * self.uncus_length)
