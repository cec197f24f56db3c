"""What packages of actions and providers import in their tests."""
