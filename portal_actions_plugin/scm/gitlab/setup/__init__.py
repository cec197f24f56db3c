"""What a project is set to: webhooks, protected branches, variables, topics, and who works in it."""
