"""The first schema: workspaces, their files and blobs, cases, comments, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workspace",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("owner_name", sa.Text, nullable=False),
        sa.Column("access", sa.String(8), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    op.create_index("workspace_owner", "workspace", ["owner"])
    op.create_table(
        "member",
        _workspace(),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("role", sa.String(8), nullable=False),
    )
    op.create_index("member_who", "member", ["who"])
    op.create_table(
        "blob",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "file",
        _workspace(),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("zipped", sa.Boolean, nullable=False),
    )
    op.create_table(
        "item",
        sa.Column("workspace", sa.String(32), primary_key=True),
        sa.Column("file", sa.String(32), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("blob.sha256")),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("picture", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.ForeignKeyConstraint(
            ["workspace", "file"], ["file.workspace", "file.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("item_sha256", "item", ["sha256"])
    op.create_table(
        "attachment",
        _workspace(),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("blob.sha256"), nullable=False),
    )
    op.create_index("attachment_sha256", "attachment", ["sha256"])
    op.create_table(
        "remark",
        _workspace(),
        sa.Column("image", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("should_be", sa.Text, nullable=False),
        sa.Column("labels", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "comment",
        _workspace(),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("workspace", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("event_at", "event", ["at"])
    op.create_index("event_workspace", "event", ["workspace"])


def _workspace() -> sa.Column[str]:
    return sa.Column(
        "workspace",
        sa.String(32),
        sa.ForeignKey("workspace.id", ondelete="CASCADE"),
        primary_key=True,
    )
