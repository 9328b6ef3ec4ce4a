"""The error a user can act on."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong and the user can mend it.

    The message is one line that says what is wrong, where, and what to do. Commands and nodes
    print it without a traceback and exit with status 2.
    """
