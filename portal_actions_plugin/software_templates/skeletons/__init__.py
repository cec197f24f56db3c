"""The files that a template's steps take from beside it: their names, their contents, and how they are rendered."""
