"""Ordered categories and their patients: the model as values, without a sampler."""
