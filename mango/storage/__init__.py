"""What a study keeps: an append-only event log, tables to read it by, and snapshots that shorten the replay."""

from mango.storage.archive import export_study, write_study
from mango.storage.database import Database, Listed
from mango.storage.ownership import Owner
from mango.storage.packing import pack, unpack
from mango.storage.restore import import_study
from mango.storage.rows import Answer, Event, Extra, Lease, Reference, Response, Showing, Standing
from mango.storage.store import Store

__all__ = [
    "Answer",
    "Database",
    "Event",
    "Extra",
    "Lease",
    "Listed",
    "Owner",
    "Reference",
    "Response",
    "Showing",
    "Standing",
    "Store",
    "export_study",
    "import_study",
    "pack",
    "unpack",
    "write_study",
]
