"""Proof that workers turn: pulses, the watchdog, and a supervisor's lookout over its own."""
