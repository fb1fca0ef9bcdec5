# SPDX-FileCopyrightText: The ponte authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sale's key, its revision mark and finance's reason."""

from __future__ import annotations

from trytond.model import Unique, fields
from trytond.pool import PoolMeta


class Sale(metaclass=PoolMeta):
    __name__ = "sale.sale"

    ponte_key = fields.Char(
        "Ponte Key",
        help="Names the sales document of the CRM. The database refuses a second sale of the company with the same key.",
    )
    ponte_revision = fields.Integer("Ponte Revision", help="Which correction of the document these lines are.")
    ponte_reason = fields.Text("Reason of Rejection", help="What the salesperson is told when the sale is cancelled.")

    @classmethod
    def __setup__(cls):
        cls.ponte_key.search_unaccented = False
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints += [
            ("ponte_key_unique", Unique(table, table.company, table.ponte_key), "ponte_link.msg_ponte_key_unique"),
        ]

    @classmethod
    def copy(cls, sales, default=None):
        default = {} if default is None else default.copy()
        for name in ("ponte_key", "ponte_revision", "ponte_reason"):
            default.setdefault(name, None)
        return super().copy(sales, default=default)
