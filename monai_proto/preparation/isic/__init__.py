"""Dermoscopy images with diagnoses: HAM10000, ISIC challenges, a folder for each class."""
