"""The part of OData that the CRM speaks: `$filter`, `$select`, `$expand`, `$orderby`, parsed once into plain functions.

Verified: eq ne gt ge lt le, and or not, contains startswith endswith, `''` inside strings, times unquoted with an explicit
offset, `any` on phones and tags. One source: `any` on OtherProperties is 403, three levels of expand. Our reading: strings
compare by case, a comparison with null is false (but for eq and ne), operands of different types are a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox.ploomes.schema import ENTITIES, Entity
from sandbox.ploomes.wire import ApiError, Row, instant

View = Mapping[str, Mapping[int, Row]]
"""Rows by entity and id: the present, or a snapshot of it."""
MAX_DEPTH = 3
MAX_TOP = 300

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')
    |(?P<time>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d))?(?![\w.:]))
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<word>[A-Za-z_]\w*(?:/[A-Za-z_]\w*)*)
    |(?P<mark>[(),:])
    |(?P<space>\s+)""",
    re.X,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: a is not None and b is not None and bool(a > b),
    "ge": lambda a, b: a is not None and b is not None and bool(a >= b),
    "lt": lambda a, b: a is not None and b is not None and bool(a < b),
    "le": lambda a, b: a is not None and b is not None and bool(a <= b),
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda a, b: b in a,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


@dataclass(frozen=True)
class Term:
    kind: str
    """`number`, `str`, `bool`, `time` or `null`."""
    of: Callable[[Row, View], Any]


def bad(message: str) -> ApiError:
    return ApiError(400, f"The query specified in the URI is not valid. {message}")


def related(entity: Entity, nav: str, row: Row, view: View) -> Any:
    """The row or rows that a navigation leads to; None where nothing stands."""
    way = entity.navs[nav]
    if way.contained:
        if nav == "Products" and entity.name in ("Quotes", "Orders"):
            return [line for section in row.get("Sections", ()) for line in section.get("Products", ())]
        return row.get(nav) or []
    if nav == "Options":
        return [each for each in view[way.target].values() if each["TableId"] == row["Id"]]
    return view[way.target].get(row.get(way.key) or 0)


def path(entity: Entity, name: str) -> Term:
    """A field, or a field of a row that a navigation to one leads to (`Stage/Name`)."""
    head, _, rest = name.partition("/")
    if not rest:
        if head not in entity.fields:
            raise bad(f"Could not find a property named '{head}' on type '{entity.name}'.")
        kind = {"int": "number", "dec": "number"}.get(entity.fields[head], entity.fields[head])
        if kind == "time":
            return Term(kind, lambda row, view: instant(row[head]) if row.get(head) else None)
        return Term(kind, lambda row, view: row.get(head))
    if head not in entity.navs or entity.navs[head].contained:
        raise bad(f"Could not find a property named '{head}' on type '{entity.name}'.")
    inner = path(ENTITIES[entity.navs[head].target], rest)

    def follow(row: Row, view: View) -> Any:
        other = related(entity, head, row, view)
        return None if other is None else inner.of(other, view)

    return Term(inner.kind, follow)


class _Filter:
    """Recursive descent: or < and < comparison < not < operand, as the standard ranks them."""

    def __init__(self, text: str, entity: Entity) -> None:
        self.entity, self.variable = entity, ""
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise bad(f"Syntax error at position {at} in '{text}'.")
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup), match[0]))
            at = match.end()
        self.at, self.depth = 0, 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, expected: str = "") -> tuple[str, str]:
        token = self.peek()
        if token[0] == "end" or (expected and token[1] != expected):
            raise bad(f"Expected {expected or 'an expression'} but found '{token[1] or 'the end'}'.")
        self.at += 1
        return token

    def whole(self) -> Callable[[Row, View], bool]:
        term = self.boolean(self.either())
        if self.peek()[0] != "end":
            raise bad(f"Unexpected '{self.peek()[1]}'.")
        return lambda row, view: bool(term.of(row, view))

    @staticmethod
    def boolean(term: Term) -> Term:
        if term.kind not in ("bool", "null"):
            raise bad("A condition must be a boolean.")
        return term

    def either(self) -> Term:
        return self._chain("or", self.both, any)

    def both(self) -> Term:
        return self._chain("and", self.comparison, all)

    def _chain(self, word: str, part: Callable[[], Term], together: Callable[[Iterable[bool]], bool]) -> Term:
        """Parts between the same word, flat, so that a thousand ids joined with `or` need no deep stack."""
        terms = [part()]
        while self.peek() == ("word", word):
            self.take()
            terms.append(part())
        if len(terms) == 1:
            return terms[0]
        tests = [self.boolean(term).of for term in terms]
        return Term("bool", lambda row, view: together(bool(test(row, view)) for test in tests))

    def comparison(self) -> Term:
        left = self.negation()
        kind, word = self.peek()
        if kind != "word" or word not in _COMPARE:
            return left
        self.take()
        right = self.negation()
        if "null" not in (left.kind, right.kind) and left.kind != right.kind:
            raise bad(f"A binary operator with incompatible types was detected: {left.kind} {word} {right.kind}.")
        compare, a, b = _COMPARE[word], left.of, right.of
        return Term("bool", lambda row, view: compare(a(row, view), b(row, view)))

    def negation(self) -> Term:
        if self.peek() != ("word", "not"):
            return self.operand()
        self.take()
        inner = self.boolean(self.negation()).of
        return Term("bool", lambda row, view: not inner(row, view))

    def operand(self) -> Term:
        kind, text = self.take()
        if text == "(":
            self.depth += 1
            if self.depth > 100:
                raise bad("The expression is nested too deeply.")
            inner = self.either()
            self.take(")")
            self.depth -= 1
            return inner
        if kind == "word":
            return self._word(text)
        return _literal(kind, text)

    def _word(self, text: str) -> Term:
        if text in ("null", "true", "false"):
            value = {"null": None, "true": True, "false": False}[text]
            return Term("null" if value is None else "bool", lambda row, view: value)
        if self.peek()[1] == "(":
            return self._any(text) if text.endswith(("/any", "/all")) else self._function(text)
        if self.variable:
            if not text.startswith(f"{self.variable}/"):
                raise bad(f"'{text}' is outside the range variable '{self.variable}'.")
            text = text.removeprefix(f"{self.variable}/")
        return path(self.entity, text)

    def _function(self, name: str) -> Term:
        if name not in _TEXT:
            raise bad(f"An unknown function with name '{name}' was found.")
        self.take("(")
        first = self.either()
        self.take(",")
        second = self.either()
        self.take(")")
        if {first.kind, second.kind} != {"str"}:
            raise bad(f"No function signature for '{name}' matches the operands.")
        test, a, b = _TEXT[name], first.of, second.of

        def run(row: Row, view: View) -> bool:
            text, part = a(row, view), b(row, view)
            return text is not None and part is not None and test(text, part)

        return Term("bool", run)

    def _any(self, text: str) -> Term:
        nav, _, word = text.partition("/")
        if nav == "OtherProperties":
            raise ApiError(403, "Filtering by OtherProperties is not allowed.")
        if word != "any" or nav not in self.entity.navs or not self.entity.navs[nav].contained:
            raise bad(f"'{text}' cannot be used here.")
        outer, outer_variable = self.entity, self.variable
        self.take("(")
        self.variable = self.take()[1]
        self.take(":")
        self.entity = ENTITIES[outer.navs[nav].target]
        inner = self.boolean(self.either()).of
        self.take(")")
        self.entity, self.variable = outer, outer_variable
        return Term("bool", lambda row, view: any(inner(each, view) for each in related(outer, nav, row, view)))


def _literal(kind: str, text: str) -> Term:
    value: Any
    if kind == "string":
        value = text[1:-1].replace("''", "'")
        return Term("str", lambda row, view: value)
    if kind == "number":
        value = Decimal(text)
        return Term("number", lambda row, view: value)
    if kind == "time":
        try:
            value = instant(text)
        except ValueError:
            raise bad(f"'{text}' is not a time.") from None
        return Term("time", lambda row, view: value)
    raise bad(f"Unexpected '{text}'.")


def parse_filter(text: str, entity: Entity) -> Callable[[Row, View], bool]:
    """A test of one row. Raises `ApiError`: 400 for what cannot be parsed, 403 for what the CRM forbids."""
    return _Filter(text, entity).whole()


@dataclass(frozen=True)
class Query:
    entity: Entity
    where: Callable[[Row, View], bool] | None = None
    select: tuple[str, ...] = ()
    expand: dict[str, Query] = field(default_factory=dict)
    order: tuple[tuple[Term, bool], ...] = ()
    top: int = MAX_TOP
    skip: int = 0
    count: bool = False


def split(text: str, mark: str) -> list[str]:
    """Parts between marks that stand outside parentheses and quotes."""
    parts, depth, quoted, last = [], 0, False, 0
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == mark and depth == 0:
                parts.append(text[last:at])
                last = at + 1
    if depth or quoted:
        raise bad(f"Unbalanced '{text}'.")
    return [part.strip() for part in (*parts, text[last:]) if part.strip()]


def parse_query(entity: Entity, options: Mapping[str, str], depth: int = 0) -> Query:
    """Options of a request, or of a nested expand. Raises `ApiError` 400. `$top` above 300 is trimmed (one source: silently)."""
    unknown = [name for name in options if name.startswith("$") and name not in _OPTIONS]
    if unknown:
        raise bad(f"The query parameter '{unknown[0]}' is not supported.")
    select = tuple(split(options.get("$select", ""), ","))
    for name in select:
        if name not in entity.fields:
            raise bad(f"Could not find a property named '{name}' on type '{entity.name}'.")
    return Query(
        entity,
        parse_filter(options["$filter"], entity) if options.get("$filter") else None,
        select,
        _expand(entity, options.get("$expand", ""), depth),
        tuple(_order(entity, part) for part in split(options.get("$orderby", ""), ",")),
        min(_count(options, "$top", MAX_TOP), MAX_TOP),
        _count(options, "$skip", 0),
        options.get("$count", "") == "true",
    )


_OPTIONS = frozenset(["$filter", "$select", "$expand", "$orderby", "$top", "$skip", "$count"])


def _count(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text):
        raise bad(f"Invalid value '{text}' for {name}.")
    return int(text)


def _order(entity: Entity, part: str) -> tuple[Term, bool]:
    name, _, way = part.partition(" ")
    if way.strip() not in ("", "asc", "desc"):
        raise bad(f"Syntax error in $orderby '{part}'.")
    return path(entity, name), way.strip() == "desc"


def _expand(entity: Entity, text: str, depth: int) -> dict[str, Query]:
    if text and depth >= MAX_DEPTH:
        raise bad(f"The request includes an $expand path deeper than the maximum of {MAX_DEPTH}.")
    found = {}
    for part in split(text, ","):
        name, _, inner = part.partition("(")
        if name not in entity.navs or (inner and not inner.endswith(")")):
            raise bad(f"Could not find a navigation named '{name}' on type '{entity.name}'.")
        options = dict(pair.partition("=")[::2] for pair in split(inner[:-1], ";"))
        if not all(option.startswith("$") for option in options):
            raise bad(f"Syntax error in $expand '{part}'.")
        found[name] = parse_query(ENTITIES[entity.navs[name].target], options, depth + 1)
    return found
