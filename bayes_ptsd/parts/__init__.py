"""The parts of a total in patients under one coherent prior: the model as values."""
