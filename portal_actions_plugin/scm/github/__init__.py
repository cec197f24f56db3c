"""The provider ``github``: github.com, Enterprise Cloud with data residency, and Enterprise Server."""
