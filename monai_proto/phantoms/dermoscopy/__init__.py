"""Skin lesions under the dermatoscope."""
