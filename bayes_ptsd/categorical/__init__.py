"""The kernel of ordered categories: probabilities between cutpoints; it knows no structure."""
