"""Replication: MAP priors, priors for a replication, predictions, assurance and sample size."""
