"""What a test's script may ask of a machine: the part of NixOS's test driver that every driver of ours has too."""

from typing import Protocol


class Machine(Protocol):
    """A booted machine. Commands are given to a shell of root's; a failure is an exception with the output in it."""

    name: str

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        """The output of commands that must all end with 0."""
        ...

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        """The output of commands that must all end with another code than 0."""
        ...

    def execute(self, command: str, timeout: int | None = 900) -> tuple[int, str]:
        """Its exit code and its output."""
        ...

    def crash(self) -> None:
        """Ends it at once, as a power cut does."""
        ...

    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str:
        """The output of a command that is repeated every second until it ends with 0."""
        ...

    def wait_for_unit(self, unit: str, *, timeout: int = 900) -> None:
        """Returns when the unit is active; fails when it failed."""
        ...
