"""Hippocampus crops in T1-weighted MRI."""
