"""`flask actions doctor`: what is wrong, what mends it, and mending what is safe."""
