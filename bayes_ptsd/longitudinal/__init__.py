"""A longitudinal specification and its patients: the model as values, without a sampler."""
