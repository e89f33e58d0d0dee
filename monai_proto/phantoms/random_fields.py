"""Smooth random fields in world space: tissue texture, organic deformation, bias of the coil, image noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["add_rician_noise", "bias_field", "correlated_noise", "deform", "random_waves"]


def random_waves(
    points: np.ndarray, wavelength: float, generator: np.random.Generator, num_waves: int = 10
) -> np.ndarray:
    """A smooth field of zero mean and unit variance: plane waves of random direction and phase.

    It is a function of the world, not of the grid: two scans of a patient on different grids show the same texture.

    Args:
        points: coordinates (3, ...) in mm.
        wavelength: typical wavelength in mm; single waves vary by about a quarter.
        generator: source of directions, lengths and phases.
        num_waves: how many waves are added up.

    Returns:
        the field, shape ``points.shape[1:]``, float32.
    """
    directions = generator.normal(size=(num_waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = wavelength * generator.uniform(0.75, 1.35, size=(num_waves, 1))
    frequencies = (2 * np.pi * directions / lengths).astype(np.float32)
    phases = generator.uniform(0, 2 * np.pi, size=num_waves).astype(np.float32)
    field = np.zeros(points.shape[1:], dtype=np.float32)
    for frequency, phase in zip(frequencies, phases, strict=True):
        field += np.sin(frequency[0] * points[0] + frequency[1] * points[1] + frequency[2] * points[2] + phase)
    return field * np.float32(np.sqrt(2 / num_waves))


def deform(
    points: np.ndarray, amplitude: float, wavelength: float, generator: np.random.Generator, num_waves: int = 6
) -> np.ndarray:
    """Points (3, ...) moved by a smooth random displacement of ``amplitude`` mm (standard deviation on each axis)."""
    moved = [axis + np.float32(amplitude) * random_waves(points, wavelength, generator, num_waves) for axis in points]
    return np.stack(moved)


def bias_field(
    shape: tuple[int, int, int], strength: float, generator: np.random.Generator, degree: int = 3
) -> np.ndarray:
    """A multiplicative receive-coil bias: the exponential of a random polynomial over the volume.

    Args:
        shape: shape of the volume.
        strength: standard deviation of the field's logarithm over the volume; 0.2 is a clearly visible bias.
        generator: source of the coefficients.
        degree: highest total degree of the polynomial.

    Returns:
        the field, of the given shape, positive, float32.
    """
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size, dtype=np.float32) for size in shape), indexing="ij", sparse=True)
    logarithm = np.zeros(shape, dtype=np.float32)
    for i in range(degree + 1):
        for j in range(degree + 1 - i):
            for k in range(degree + 1 - i - j):
                logarithm += np.float32(generator.normal() / (1 + i + j + k)) * x**i * y**j * z**k
    logarithm -= logarithm.mean()
    return np.exp(logarithm * np.float32(strength / max(float(logarithm.std()), 1e-6)))


def add_rician_noise(image: np.ndarray, standard_deviation: float, generator: np.random.Generator) -> np.ndarray:
    """The magnitude of a complex signal with independent Gaussian noise in both channels, as in MRI."""
    real = image + generator.normal(0, standard_deviation, image.shape)
    imaginary = generator.normal(0, standard_deviation, image.shape)
    return np.sqrt(real * real + imaginary * imaginary).astype(np.float32)


def correlated_noise(
    shape: tuple[int, int, int], standard_deviation: float, smoothing: float, generator: np.random.Generator
) -> np.ndarray:
    """Gaussian noise with the grain of a CT reconstruction kernel, float32.

    Args:
        shape: shape of the volume.
        standard_deviation: of the result, in the image's units.
        smoothing: standard deviation of the grain in voxels; 0 gives white noise.
        generator: source of the noise.
    """
    noise = generator.standard_normal(shape, dtype=np.float32)
    if smoothing > 0:
        noise = ndimage.gaussian_filter(noise, smoothing)
    return noise * np.float32(standard_deviation / noise.std())
