"""Which searches lie in a folder, and whether one can go on with them; read from its files alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from mango.errors import StorageError
from mango.search.folder import CONFIG, RunFolder
from mango.search.settings import ALONE, Settings
from mango.storage import Store


def planned(root: RunFolder) -> tuple[dict[str, Settings], str, str]:
    """The searches of a folder by their places in it, what they search for, and the command that made them.

    Raises:
        StorageError: the folder holds no study, or what it holds cannot be read.
    """
    kept = root.read(CONFIG, missing={})
    if "searches" in kept:
        where = str(root.path / CONFIG)
        if not isinstance(kept["searches"], Mapping) or not kept["searches"]:
            raise StorageError(f"{where} cannot be read: expected a folder and settings for each search")
        plan = {str(place): Settings.from_json(one, where) for place, one in kept["searches"].items()}
        return plan, str(kept.get("target", "")), str(kept.get("command", ""))
    if not root.holds_study:
        raise StorageError(f"there is no study in {root.path}; expected the folder of an earlier `mango search`")
    store = Store.open(root.storage, "study", own=False)
    try:
        if "settings" not in store.meta:
            raise StorageError(f"the study in {root.path} was not made by `mango search`; resume it with mango.Study")
        settings = Settings.from_json(store.meta["settings"], root.storage)
        return {ALONE: settings}, settings.target, str(store.meta.get("command", ""))
    finally:
        store.close()


def resumable(root: RunFolder) -> bool:
    """Whether a search lies in the folder, or several, and each that was begun can be read to its last event."""
    try:
        for place in planned(root)[0]:
            folder = RunFolder(root.path / place)
            if folder.holds_study:
                store = Store.open(folder.storage, "study", own=False)
                try:
                    deque(store.events(), maxlen=0)
                finally:
                    store.close()
    except StorageError:
        return False
    return True
