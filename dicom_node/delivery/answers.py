"""The answers of a peer stay for whoever asked. Each association that connection.py opens has `Answers`.

pynetdicom 3.0.4 runs a thread beside every association (`Association._run_reactor`) that takes what messages it finds
and serves them as an SCP; an answer it throws away. `send_c_store` and its like halt that thread first, but the mark
that it stands still can be an old one: woken after the message before and not yet on the processor, it still counts as
halted, and looks once more while the next answer comes in. The sender then waits until the DIMSE timeout for what had
arrived.
"""

from typing import Any

from pynetdicom.dimse import DIMSEServiceProvider


class Answers(DIMSEServiceProvider):
    """The DIMSE service of an association on which we only ask.

    N-EVENT-REPORT, the one request that may come on it, does not pass here: it is served as it is received.
    """

    def get_msg(self, block: bool = False) -> tuple[None, None] | tuple[int, Any]:
        """The next (context ID, message) for a sender, who waits (`block`); none for the thread, which never waits."""
        return super().get_msg(block=True) if block else (None, None)
