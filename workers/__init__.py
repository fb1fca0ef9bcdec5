"""The work: Celery app and thin tasks, the pure plan, one file a flow, notices, schedule, doctor, the command line."""
