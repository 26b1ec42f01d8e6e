"""The recurrences everything else is built on: spiking, liquid and state-space, each with several equal paths."""
