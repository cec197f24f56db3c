"""What a template asks its users for: its parameters' JSON Schema, and the check of inputs by it."""
