"""`python -m hlhft` is the command `hlhft`."""

from hlhft.cli import run

if __name__ == "__main__":
    run()
