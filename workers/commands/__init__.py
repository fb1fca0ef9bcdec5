"""One command a file. Each has `run(...) -> int`: the exit code."""
