"""Models fitted to reconstructed patients: every set alone, then pooled over the sets."""
