"""What was proposed and answered, what is tried on which sessions, and how the machine fares."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, Words

PARAMETER_PROPOSALS = sa.Table(
    "parameter_proposals",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("id", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("name", Words, nullable=False),
    sa.Column("before", Words, nullable=False),
    sa.Column("after", Words, nullable=False),
    sa.Column("origin", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("evidence", Words, nullable=False),
    sa.Column("observations", sa.Integer, nullable=False),
    sa.Column("lapses", sa.Date, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_parameter_proposal_per_id"),
)

PROPOSAL_ANSWERS = sa.Table(
    "proposal_answers",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("proposal_id", Words, nullable=False),
    sa.Column("answer", Words, nullable=False),
    sa.Column("who", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("from_session", sa.Date),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "proposal_id", name="one_answer_per_proposal"),
)

EXPERIMENT_DESIGNS = sa.Table(
    "experiment_designs",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("id", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("design", Words, nullable=False),
    sa.Column("digest", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_design_per_id"),
)

EXPERIMENT_ENDS = sa.Table(
    "experiment_ends",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("experiment_id", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("verdict", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("result", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "experiment_id", name="one_end_per_experiment"),
)

HEALTH_CHECKS = sa.Table(
    "health_checks",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("state", Words, nullable=False),
    sa.Column("checks", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("health_by_instant", "at"),
)
