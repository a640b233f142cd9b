"""`python -m distill` is the same as `distill`."""

from __future__ import annotations

from distill.cli.main import main

if __name__ == "__main__":
    main()
