# SPDX-FileCopyrightText: The ponte authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tryton module `ponte_link`: what a sale must hold itself, so that one sales document becomes one sale."""
