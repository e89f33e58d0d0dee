"""Training, evaluation and prediction with a bundle, and the folder that explains a run."""
