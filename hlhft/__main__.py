"""`python -m hlhft` is the command `hlhft`."""

from hlhft.cli import console

if __name__ == "__main__":
    console()
