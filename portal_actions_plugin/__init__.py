"""Run, watch and repair self-service actions in a Flask developer portal."""
