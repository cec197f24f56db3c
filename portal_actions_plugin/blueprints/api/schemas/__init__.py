"""The API's shapes: what each answer has, field by field. OpenAPI is made of them."""
