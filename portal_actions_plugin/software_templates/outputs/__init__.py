"""What a run gives in the end: a template's ``spec.output``, checked at load and rendered when the run has ended."""
