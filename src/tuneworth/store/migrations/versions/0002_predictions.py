"""What each trial answered on the test split; a task's true answers, once. Trials of before simply have none."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "targets",
        sa.Column("task_fingerprint", sa.String(64), primary_key=True),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("study_id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("task_fingerprint", sa.String(64), sa.ForeignKey("targets.task_fingerprint"), nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["study_id", "key"], ["trials.study_id", "trials.key"]),
    )
