"""The Gaussian kernel: columns times coefficients with a covariance; it knows no structure."""
