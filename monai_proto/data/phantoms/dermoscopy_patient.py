"""The person behind a dermoscopy phantom, in the columns of HAM10000's table."""

from __future__ import annotations

import numpy as np

from monai_proto.data.phantoms.dermoscopy_phantom import DERMOSCOPY_CLASSES
from monai_proto.data.phantoms.phantom import phantom_generator

__all__ = ["METADATA_COLUMNS", "make_metadata"]

METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "split")

_STREAM = 5
# mean age in HAM10000, in years
_MEAN_AGE = {"akiec": 67, "bcc": 67, "bkl": 64, "df": 53, "mel": 61, "nv": 47, "vasc": 51}
_AGE_DEVIATION = 15.0
_ALWAYS_HISTOLOGY = ("akiec", "bcc", "mel")
_LOCALIZATIONS = ("abdomen", "back", "chest", "face", "lower extremity", "neck", "trunk", "upper extremity")


def make_metadata(seed: int, index: int, label: int) -> dict[str, str]:
    """What HAM10000's table says of a lesion.

    As there, malignant lesions have histology and age goes with the class; sex and place are independent of it.

    Args:
        seed: seed of the data set, 0 or more.
        index: number of the lesion, 0 or more.
        label: its class, an index into ``DERMOSCOPY_CLASSES``.

    Returns:
        the columns ``dx``, ``dx_type``, ``age`` (years, a multiple of 5), ``sex`` and ``localization``.
    """
    generator = phantom_generator(seed, _STREAM, index)
    name = DERMOSCOPY_CLASSES[label]
    age = generator.normal(_MEAN_AGE[name], _AGE_DEVIATION)
    sex, place = generator.choice(["female", "male"]), generator.choice(_LOCALIZATIONS)
    verified_by = generator.choice(["histo", "follow_up", "consensus"])
    return {
        "dx": name,
        "dx_type": "histo" if name in _ALWAYS_HISTOLOGY else str(verified_by),
        "age": f"{5 * round(float(np.clip(age, 5, 85)) / 5):.1f}",
        "sex": str(sex),
        "localization": str(place),
    }
