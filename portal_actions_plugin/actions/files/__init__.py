"""The actions of Backstage's format that work on files: in the workspace, from beside a template, from a forge."""
