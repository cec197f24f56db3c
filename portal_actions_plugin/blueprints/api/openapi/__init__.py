"""The OpenAPI document, made of what the views declare."""
