"""The hooks of a host: registered at any time, looked up at each call, and their answers checked."""
