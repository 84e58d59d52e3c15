"""A model to send to a machine."""

from tests.run.machine.conftest import trained

__all__ = ["trained"]
