"""What a worker needs, loaded: the fork server imports this once, and every worker is forked from it.

What lives only here: that loading is quick, and that what is loaded stays shared. The collector would touch
each object, and a page of memory that one process writes to is no longer shared with the others.
"""

from __future__ import annotations

import gc

from appliance.gateway.lightly import leave_out_unused_addons, leave_out_unused_libraries

gc.disable()  # nothing that is loaded is garbage; looking for it takes a tenth of the time
leave_out_unused_libraries()
leave_out_unused_addons()

from appliance import serving  # noqa: E402 - only now, or the lines above come too late

gc.collect()
gc.freeze()
gc.enable()

__all__ = ["serving"]
