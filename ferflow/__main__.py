"""`python -m ferflow`."""

from ferflow.cli import main

if __name__ == "__main__":
    main()
