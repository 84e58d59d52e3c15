"""`python -m experiments` is `qhc`."""

from qhc import main

if __name__ == "__main__":
    main()
