"""Reconstructed patients: whole scores that print every result of the paper at once."""
