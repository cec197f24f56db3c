"""The REST API: its routes, its shapes, and its OpenAPI document."""
