"""Real processes of the fleet for tests: a broker of one's own, a worker with a task of the test's."""
