"""The receiver: associations, their guards, and the DIMSE services that the node offers as SCP.

lobby (connections, TLS, the request) -> access and negotiation -> conversation (messages) -> handlers -> statuses
"""
