"""Backstage's actions on forges, the catalog and its own API, by their names there, over the providers of this portal."""
