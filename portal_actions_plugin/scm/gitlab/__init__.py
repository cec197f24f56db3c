"""The provider ``gitlab``: gitlab.com and self-managed GitLab."""
