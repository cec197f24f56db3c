"""${{ values.name }}: where its code begins."""


def name() -> str:
    """What it is called."""
    return "${{ values.name }}"
