"""How often a trial's worker died, apart from how often it was claimed; plans of before. What was is not known: 0, none."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("trials", sa.Column("deaths", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "plans",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
    )
