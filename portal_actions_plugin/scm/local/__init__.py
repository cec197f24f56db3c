"""The provider ``local``: bare git repositories on this machine's disk, with branches and pull requests that are real git."""
