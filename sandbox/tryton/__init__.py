"""The sandbox's ERP: a real Tryton, in an environment and processes of its own (see README.md for the licences)."""
