"""`python -m qhc` is `qhc`."""

from . import main

if __name__ == "__main__":
    main()
