"""A second, real CRM for the sandbox: BottleCRM (PyPI `django-crm`, MIT), in an environment and a process of its own."""
