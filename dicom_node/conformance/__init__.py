"""The DICOM conformance statement (PS3.2), written from the running configuration: what is said is what is done.

statement.py joins the sections; acceptor.py tells of the receiver, requestor.py of delivery, site.py of everything
around. Read from the code's own tables wherever there is one. `quartet conformance` prints it.
"""
