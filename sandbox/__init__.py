"""Systems to play against: twins, and the set-up of the real ERP. Each runs as a process of its own."""
