"""Tables the lake keeps for itself, declared like all others."""

from evaluator.domain.schema import INT, TEXT, Column, Table

IDENTIFIERS = Table(
    name="identifiers",
    grain="One row per text identifier met: what its surrogate stands for.",
    key=("key",),
    is_append_only=True,
    columns=(
        Column("key", INT, "Surrogate; see `ids.surrogate`."),
        Column("text", TEXT, "Identifier."),
    ),
)
