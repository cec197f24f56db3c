"""What is wrong with a template, told when it is loaded."""
