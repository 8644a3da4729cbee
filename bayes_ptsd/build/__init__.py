"""The PyMC model of each structure."""
