"""Abdomens in CT."""
