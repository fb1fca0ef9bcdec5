"""Acme: an ERP that there is not, as an adapter of the least size that passes the conformance kit.

`ponte new-adapter erp NAME` copies these files under another name, for an adapter to begin from.
"""

from .erp import AcmeErp
from .settings import AcmeSettings

__all__ = ["AcmeErp", "AcmeSettings"]
