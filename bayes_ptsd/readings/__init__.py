"""The readings of the crossover contrast weighed by how well each explains what is printed."""
