"""What can be run: how an action is declared and found (``registry``), what its handler gets (``context``), our own.

A new built-in action is a function with ``@action`` in one of these modules, or in a new one that setup.cfg names in the
entry point group ``portal_actions.actions``.
"""
