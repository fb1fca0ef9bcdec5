"""Pictures and sales texts of the cast's products: what a sales team keeps in its CRM, and what no sync may erase."""

from __future__ import annotations

import unicodedata

_SHAPES = {
    "parafuso": '<path d="M62 34h36l10 14-10 14H62L52 48z"/><path d="M70 62h20v66l-10 10-10-10z"/>'
    '<path class="cut" d="M70 76l20 8M70 92l20 8M70 108l20 8"/>',
    "porca": '<path d="M80 26l47 27v54l-47 27-47-27V53z"/><circle class="hole" cx="80" cy="80" r="26"/>',
    "arruela": '<circle cx="80" cy="80" r="52"/><circle class="hole" cx="80" cy="80" r="22"/>',
    "chumbador": '<path d="M68 22h24v60H68z"/><path d="M60 82h40l8 56H52z"/>'
    '<path class="cut" d="M80 88v50M68 34l24 8M68 52l24 8"/>',
    "barra": '<path d="M24 118L118 24l18 18-94 94z"/><path class="cut" d="M44 98l18 18M64 78l18 18M84 58l18 18M104 38l18 18"/>',
    "abracadeira": '<circle cx="80" cy="86" r="48"/><circle class="hole" cx="80" cy="86" r="36"/><path d="M64 20h32v26H64z"/>',
}
_TOLD = {
    "parafuso": "Aço de alta resistência, cabeça sextavada. O preferido das linhas de montagem.",
    "porca": "Não solta com vibração. Leve junto o parafuso da mesma medida.",
    "arruela": "Distribui a carga e protege a pintura. Caixas de cem a pronta entrega.",
    "chumbador": "Para concreto: fura, bate, aperta. Peça o manual de instalação.",
    "barra": "Barras de um metro, cortamos na medida sem custo.",
    "abracadeira": "Fecho com parafuso, para mangueiras e tubos.",
}


def _kind(name: str) -> str:
    word = name.split(" ", 1)[0].casefold()
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if letter.isascii())


def url_of(name: str) -> str | None:
    """Where the twin shows this product's picture. The largest size has none, as in any real catalogue."""
    kind = _kind(name)
    return f"/app/pictures/{kind}.svg" if kind in _SHAPES and not name.endswith("M12") else None


def told_of(name: str) -> str | None:
    return _TOLD.get(_kind(name))


def draw(kind: str) -> str:
    """An SVG; "" for a picture that there is not."""
    shape = _SHAPES.get(kind)
    if shape is None:
        return ""
    style = "path,circle{fill:#8b97ab}.hole{fill:#eef1f6}.cut{fill:none;stroke:#5d6879;stroke-width:3}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><style>{style}</style>'
        f'<rect width="160" height="160" fill="#eef1f6"/>{shape}</svg>'
    )
