"""Trying templates before anybody runs them: what they need, what would fail, and what one line would mend."""
