"""A stateful double of GitHub, as strict as GitHub is, with git's protocol over real repositories.

Each answer names the page of GitHub's documentation that it follows. What the documentation leaves open (the words of
errors above all) was taken from answers that people have shown in public issues.
"""

from tests.support.forges.github.answers import secondary_limit
from tests.support.forges.github.double import GitHubDouble

__all__ = ["GitHubDouble", "secondary_limit"]
