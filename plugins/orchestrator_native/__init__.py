"""The native action: keeps two local trees equal without any external program (spec 4.5)."""
