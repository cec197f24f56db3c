"""The figures: each module measures one thing on a rig, in rounds, and gives the values of every round by name."""
