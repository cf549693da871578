"""The `mango` command."""

from mango.cli.app import app

__all__ = ["app"]
