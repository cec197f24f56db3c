"""Workspaces: the folder that the steps of a template run share, kept between steps wherever the next one runs."""
