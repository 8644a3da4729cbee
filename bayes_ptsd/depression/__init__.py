"""A comparison adjusted for a second outcome, and its mediation: the model as values."""
