"""How many pictures a workspace holds stands in its row.

The list of workspaces counted the items of each: 20 ms for 100,000 of them, 2 ms without.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workspace", sa.Column("images", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "UPDATE workspace SET images = (SELECT count(*) FROM item"
        " WHERE item.workspace = workspace.id AND item.picture)"
    )
