"""`python -m experiments` is `qhc`."""

from .commands.cli import main

if __name__ == "__main__":
    main()
