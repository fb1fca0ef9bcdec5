"""Acme: a CRM that there is not, as an adapter of the least size that passes the conformance kit.

`ponte new-adapter crm NAME` copies these files under another name, for an adapter to begin from.
"""

from .crm import AcmeCrm
from .settings import AcmeSettings

__all__ = ["AcmeCrm", "AcmeSettings"]
