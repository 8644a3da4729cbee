"""`python -m bayes_ptsd` is `bayes-ptsd`."""

from __future__ import annotations

from bayes_ptsd.cli import program

if __name__ == "__main__":
    program()
