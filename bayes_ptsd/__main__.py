"""`python -m bayes_ptsd` is `bayes-ptsd`."""

from __future__ import annotations

from bayes_ptsd.cli import main

if __name__ == "__main__":
    main()
