"""Reading the YAML of templates: YAML 1.2, as Backstage reads it, within bounds."""
