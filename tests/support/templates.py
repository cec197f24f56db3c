"""Templates that several tests use."""

from __future__ import annotations

TWO_STEPS = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: two-steps, title: Two steps}
spec:
  owner: team:platform
  type: service
  parameters:
    - required: [name]
      properties:
        name: {type: string, title: Name, pattern: "^[a-z][a-z0-9-]{2,30}$"}
        loud: {type: boolean, default: false}
  steps:
    - id: greet
      name: Greet
      action: debug.log@v1
      input: {message: "hello ${{ parameters.name }}"}
    - id: shout
      name: Shout
      if: ${{ parameters.loud }}
      action: debug.log@v1
      input: {message: "HELLO ${{ parameters.name }}"}
    - id: part
      name: Part
      action: debug.log@v1
      input: {message: "goodbye ${{ parameters.name }}"}
  output:
    links: [{title: Home, url: "https://example.com/${{ parameters.name }}"}]
"""
