"""What a study keeps: an append-only event log, tables to read it by, and snapshots that shorten the replay."""

from mango.storage.packing import pack, unpack
from mango.storage.store import Event, Showing, Store

__all__ = ["Event", "Showing", "Store", "pack", "unpack"]
