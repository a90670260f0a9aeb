"""Syntax tree to text: the canonical spelling of an expression.

``parse(unparse(ast))`` equals the tree it came from.  Parentheses appear only where the
grammar needs them, strings in double quotes.  Knows the tree, not its meaning.
"""

import re
from typing import Final

from pfgov.policy.cel.macros import SORTED
from pfgov.policy.cel.syntax import (
    And,
    Ast,
    Binary,
    Bind,
    Call,
    Constant,
    Fold,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal_,
    MapLiteral,
    Node,
    OptMap,
    Or,
    Select,
    Ternary,
    Unary,
)  # fmt: skip
from pfgov.policy.cel.values import Uint

_TERNARY, _OR, _AND, _RELATION, _ADD, _MULTIPLY, _UNARY, _MEMBER = range(1, 9)
_LEVELS: Final = {"+": _ADD, "-": _ADD, "*": _MULTIPLY, "/": _MULTIPLY, "%": _MULTIPLY}
_MACROS: Final = {
    "transform_list": "transformList",
    "transform_map": "transformMap",
    "transform_map_entry": "transformMapEntry",
}
_NAME: Final = re.compile(r"(?!(?:true|false|null|in)$)[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES: Final = {
    ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t",
    **{code: f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), 127)},
}  # fmt: skip


def unparse(ast: Ast | Node) -> str:
    """The canonical text of *ast*."""
    return _text(ast.root if isinstance(ast, Ast) else ast, _TERNARY)


def _text(node: Node, level: int) -> str:
    """*node* as text that may stand where the grammar wants *level* or tighter."""
    own, text = _render(node)
    return f"({text})" if own < level else text


def _render(node: Node) -> tuple[int, str]:
    match node:
        case Literal_(value=value):
            text = constant_text(value)
            # A number is no target of a selection: "1.size()" is not CEL, "(1).size()" is.
            return (_UNARY if isinstance(value, (int, float, Uint)) else _MEMBER), text
        case Ident(name=name, absolute=absolute):
            return _MEMBER, f".{name}" if absolute else name
        case Select(operand=operand, name=name, optional=optional):
            return _MEMBER, f"{_text(operand, _MEMBER)}.{'?' if optional else ''}{_field(name)}"
        case Index(operand=operand, key=key, optional=optional):
            mark = "?" if optional else ""
            return _MEMBER, f"{_text(operand, _MEMBER)}[{mark}{_text(key, _TERNARY)}]"
        case Call():
            return _MEMBER, _call(node)
        case Unary(operator=operator, operand=operand):
            text = _text(operand, _UNARY)
            # "-5" would read back as a literal, "--5" as a minus before one.
            if operator == "-" and text[0] in "-0123456789":
                text = f"({text})"
            return _UNARY, f"{operator}{text}"
        case Binary(operator=operator, left=left, right=right):
            level = _LEVELS.get(operator, _RELATION)
            return level, f"{_text(left, level)} {operator} {_text(right, level + 1)}"
        case And(operands=operands):
            return _AND, " && ".join(_text(operand, _AND + 1) for operand in operands)
        case Or(operands=operands):
            return _OR, " || ".join(_text(operand, _OR + 1) for operand in operands)
        case Ternary(condition=condition, then=then, otherwise=otherwise):
            parts = _text(condition, _OR), _text(then, _OR), _text(otherwise, _TERNARY)
            return _TERNARY, "{} ? {} : {}".format(*parts)
        case ListLiteral(items=items, optional=optional):
            marks = ("?" if is_optional else "" for is_optional in optional)
            parts_ = (f"{m}{_text(i, _TERNARY)}" for m, i in zip(marks, items, strict=True))
            return _MEMBER, f"[{', '.join(parts_)}]"
        case MapLiteral(entries=entries, optional=optional):
            marks = ("?" if is_optional else "" for is_optional in optional)
            pairs = (
                f"{mark}{_text(key, _TERNARY)}: {_text(value, _TERNARY)}"
                for mark, (key, value) in zip(marks, entries, strict=True)
            )
            return _MEMBER, "{" + ", ".join(pairs) + "}"
        case _:
            return _MEMBER, _macro(node)


def _call(node: Call) -> str:
    arguments = ", ".join(_text(argument, _TERNARY) for argument in node.arguments)
    if node.target is not None:
        return f"{_text(node.target, _MEMBER)}.{node.function}({arguments})"
    return f"{'.' if node.absolute else ''}{node.function}({arguments})"


def _macro(node: Node) -> str:
    match node:
        case Has(operand=operand, name=name):
            return f"has({_text(operand, _MEMBER)}.{_field(name)})"
        case Fold(kind=kind, target=target, variables=variables):
            bodies = [body for body in (node.condition, node.result) if body is not None]
            inside = ", ".join([*variables, *(_text(body, _TERNARY) for body in bodies)])
            return f"{_text(target, _MEMBER)}.{_MACROS.get(kind, kind)}({inside})"
        case OptMap(target=target, variable=variable, result=result, flat=flat):
            name = "optFlatMap" if flat else "optMap"
            return f"{_text(target, _MEMBER)}.{name}({variable}, {_text(result, _TERNARY)})"
        case Bind(variable=variable, value=value, result=result):
            if variable == SORTED:
                return _sort_by(value, result)
            return f"cel.bind({variable}, {_text(value, _TERNARY)}, {_text(result, _TERNARY)})"
        case _:
            raise AssertionError(node)


def _sort_by(target: Node, result: Node) -> str:
    assert isinstance(result, Call)
    keys = result.arguments[1]
    assert isinstance(keys, Fold)
    assert keys.result is not None
    key = _text(keys.result, _TERNARY)
    return f"{_text(target, _MEMBER)}.sortBy({keys.variables[0]}, {key})"


def _field(name: str) -> str:
    return name if _NAME.fullmatch(name) else f"`{name}`"


def constant_text(value: Constant) -> str:
    """A literal that reads back as *value*."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value.translate(_ESCAPES)}"'
        case bytes():
            shown = "".join(
                chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}"
                for byte in value
            )
            return f'b"{shown}"'
        case Uint(value=number):
            return f"{number}u"
        case float():
            text = repr(value)
            mantissa, mark, exponent = text.partition("e")
            return text if "." in mantissa else f"{mantissa}.0{mark}{exponent}"
        case _:
            return repr(value)
