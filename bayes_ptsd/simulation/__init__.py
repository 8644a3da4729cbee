"""Simulated patients: a trial whose truth is known."""
