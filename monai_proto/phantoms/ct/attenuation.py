"""CT numbers of the tissues of an abdomen before contrast medium and in two phases after it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

__all__ = ["CT_PHASES", "TissueAttenuation"]

CT_PHASES: tuple[Literal["native", "arterial", "portal_venous"], ...] = ("native", "arterial", "portal_venous")


@dataclass(frozen=True)
class TissueAttenuation:
    """Mean attenuation of the tissues that take up contrast medium, in HU."""

    liver: float
    liver_vessel: float
    spleen: float
    kidney_cortex: float
    kidney_medulla: float
    aorta: float
    vena_cava: float
    pancreas: float
    muscle: float
    bowel_wall: float

    @classmethod
    def sample(cls, phase: str, generator: np.random.Generator) -> TissueAttenuation:
        """One person in one phase.

        The same draws are made in every phase: a fatty liver or a weak heart shows in all scans of a person.

        Args:
            phase: one of ``CT_PHASES``.
            generator: the person's random stream.

        Raises:
            ValueError: when ``phase`` is unknown.
        """
        if phase not in _PHASE_MEANS:
            raise ValueError(f"phase must be one of {CT_PHASES}, got {phase!r}.")
        native, mean = _PHASE_MEANS["native"], _PHASE_MEANS[phase]
        fatty = generator.random() < 0.25
        tissue = {field.name: native_hu for field, native_hu in zip(fields(cls), native, strict=True)}
        dose = generator.uniform(0.8, 1.15)
        for field, native_hu, phase_hu in zip(fields(cls), native, mean, strict=True):
            uptake = (phase_hu - native_hu) * dose * generator.uniform(0.93, 1.07)
            tissue[field.name] += uptake + generator.uniform(-4, 4)
        if fatty:
            fat = generator.uniform(15, 35)
            tissue["liver"] -= fat
        return cls(**tissue)


# in the order of the fields of TissueAttenuation
_PHASE_MEANS = {
    "native": (56.0, 42.0, 48.0, 33.0, 31.0, 42.0, 40.0, 38.0, 55.0, 38.0),
    "arterial": (68.0, 62.0, 118.0, 185.0, 75.0, 320.0, 75.0, 102.0, 60.0, 85.0),
    "portal_venous": (112.0, 165.0, 124.0, 190.0, 172.0, 155.0, 148.0, 92.0, 66.0, 90.0),
}
