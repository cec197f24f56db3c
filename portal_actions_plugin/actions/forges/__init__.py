"""What can be asked of a forge besides a repository with its files: pull requests, settings, issues, its CI."""
