"""The dictionary of search: words of what people see of runs, and the distinct values that they stand in."""
