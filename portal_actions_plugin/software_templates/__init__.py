"""How templates are written down, loaded, checked and rendered."""
