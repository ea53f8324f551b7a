"""The command line: one module per verb, each of which parses, calls one library function and prints."""

from dcdp.cli.app import main

__all__ = ["main"]
