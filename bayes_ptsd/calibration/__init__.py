"""Calibration: ranks of known truths, their uniformity, and what a decision rule does."""
